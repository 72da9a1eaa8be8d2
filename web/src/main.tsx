import { render } from "preact";
import { App } from "./app.js";
import { connect } from "./live.js";
import { takeKeyFromAddress } from "./session.js";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/frame.css";
import "./styles/list.css";
import "./styles/submit.css";
import "./styles/evaluation.css";
import "./styles/decision.css";
import "./styles/health.css";
import "./styles/access.css";
import "./styles/batch.css";
import "./styles/policies.css";
import "./styles/forced.css";

/** The longest that the page stays empty while the list is asked for. */
const PATIENT_MS = 150;

takeKeyFromAddress();
// A link that is opened in a tab where the page is open already changes the address alone.
addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#key=")) return;
  takeKeyFromAddress();
  void connect();
});
// With the list where it comes at once: a frame without it, filled a moment later, takes twice as long.
const enough = new Promise((resolve) => setTimeout(resolve, PATIENT_MS));
void Promise.race([connect(), enough]).then(() => render(<App />, document.getElementById("app")!));
