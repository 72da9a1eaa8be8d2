/** Asks for a key, where the address brought none. */
import { useEffect, useRef, useState } from "preact/hooks";
import { useKey, wrong } from "../session.js";
import { connect } from "../live.js";

export function SignIn() {
  const [key, setKey] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  return (
    <main class="signin">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          useKey(key.trim());
          connect();
        }}
      >
        <h1>Who is asking?</h1>
        <p>
          This server wants a key. <code>quell serve</code> prints a link with it when it starts in a terminal; the
          administrator's key also stands in its data folder:
        </p>
        <pre>cat ~/.local/state/quell/admin.key</pre>
        {wrong.value && (
          <p id="wrong-key" class="trouble" role="alert">
            <strong>This server does not take that key.</strong> It may have been revoked, may have ended, or be another
            server's.
          </p>
        )}
        <label for="key">Key</label>
        <input
          id="key"
          ref={input}
          aria-invalid={wrong.value}
          aria-describedby={wrong.value ? "wrong-key" : undefined}
          type="password"
          autocomplete="current-password"
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <button class="primary" disabled={!key.trim()}>
          Sign in
        </button>
        <p class="hint">It stays in this tab, and is forgotten with it.</p>
      </form>
    </main>
  );
}
