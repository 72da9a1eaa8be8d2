/** The frame around each view: where one is, and where one can go. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { connect } from "./live.js";
import { LinkBanner, LinkState } from "./parts/link.js";
import { Toasts } from "./parts/toasts.js";
import { href, place } from "./router.js";
import { access, keyOfTab, type Rights, rights, useKey } from "./session.js";
import { AccessView } from "./views/access.js";
import { BatchView } from "./views/batch.js";
import { BatchesView } from "./views/batches.js";
import { EvaluationView } from "./views/evaluation.js";
import { HealthView } from "./views/health.js";
import { ListView } from "./views/list.js";
import { PoliciesView } from "./views/policies.js";
import { SignIn } from "./views/signin.js";
import { SubmitView } from "./views/submit.js";

interface View {
  title: string;
  nav: string;
  content: ComponentChildren;
}

function viewOf(path: string): View {
  const evaluation = /^\/eval\/([^/]+)$/.exec(path);
  if (evaluation) {
    const id = decodeURIComponent(evaluation[1]!);
    return { title: id, nav: "/", content: <EvaluationView key={id} id={id} /> };
  }
  if (path === "/submit") return { title: "Submit", nav: path, content: <SubmitView /> };
  if (path === "/health") return { title: "Health", nav: path, content: <HealthView /> };
  const batch = /^\/batch\/([^/]+)$/.exec(path);
  if (batch) {
    const id = decodeURIComponent(batch[1]!);
    return { title: "Batch", nav: "/batches", content: <BatchView key={id} id={id} /> };
  }
  if (path === "/batches") return { title: "Batches", nav: path, content: <BatchesView /> };
  if (path === "/policies") return { title: "Policies", nav: path, content: <PoliciesView /> };
  if (path === "/access") return { title: "Access", nav: path, content: <AccessView /> };
  if (path === "/") return { title: "Evaluations", nav: path, content: <ListView /> };
  return { title: "Not here", nav: "", content: <Nowhere /> };
}

/** With those whom each is for; what is nothing for them, nobody sees. */
const NAV: readonly [string, string, readonly Rights[]][] = [
  ["/", "Evaluations", ["user", "operator", "admin"]],
  ["/submit", "Submit", ["user", "operator", "admin"]],
  ["/batches", "Batches", ["user", "operator", "admin"]],
  ["/policies", "Policies", ["operator", "admin"]],
  ["/health", "Health", ["user", "operator", "admin"]],
  ["/access", "Access", ["admin"]],
];

export function App() {
  const view = viewOf(place.value.path);
  const signedOut = access.value === "refused";
  useEffect(() => {
    document.title = signedOut ? "Sign in · Quell" : `${view.title} · Quell`;
  }, [view.title, signedOut]);
  return (
    <>
      {!signedOut && (
        <a class="skip" href="#content" onClick={skip}>
          Skip to the content
        </a>
      )}
      <header class="bar">
        <a class="mark" href={href("/")} aria-label="Quell, evaluations">
          <span aria-hidden="true" />
          Quell
        </a>
        {!signedOut && <Nav here={view.nav} />}
        <div class="bar-end">
          {!signedOut && <LinkState />}
          {!signedOut && keyOfTab() && (
            <button class="plain small" onClick={signOut}>
              Sign out
            </button>
          )}
        </div>
      </header>
      <LinkBanner />
      {signedOut ? (
        <SignIn />
      ) : (
        <main id="content" tabIndex={-1}>
          {view.content}
        </main>
      )}
      <Toasts />
    </>
  );
}

function Nav({ here }: { here: string }) {
  return (
    <nav aria-label="Views">
      {NAV.filter(([, , who]) => who.includes(rights.value)).map(([path, name]) => (
        <a key={path} href={href(path)} aria-current={here === path ? "page" : undefined}>
          {name}
        </a>
      ))}
    </nav>
  );
}

function Nowhere() {
  return (
    <div class="empty">
      <h1>There is nothing here</h1>
      <p>
        The address names no view of this page. <a href={href("/")}>All evaluations</a> are a good place to begin.
      </p>
    </div>
  );
}

/** The address behind `#` is taken: the link moves the focus itself. */
function skip(event: Event): void {
  event.preventDefault();
  document.getElementById("content")?.focus();
}

function signOut(): void {
  useKey(null);
  connect();
}
