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

takeKeyFromAddress();
// A link that is opened in a tab where the page is open already changes the address alone.
addEventListener("hashchange", () => {
  if (!location.hash.startsWith("#key=")) return;
  takeKeyFromAddress();
  connect();
});
connect();
render(<App />, document.getElementById("app")!);
