import { render } from "preact";
import "./page.css";

render(<h1>Quell</h1>, document.getElementById("app")!);
