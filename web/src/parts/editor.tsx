/**
 * A code editor: a text area over the same text in colours. Tab indents; Escape and then Tab leaves, so
 * that the keyboard is never caught.
 */
import { useRef } from "preact/hooks";
import { highlight } from "./highlight.js";

/** Longer code is edited without colours: each key would redo them all. */
const COLOURED = 50_000;

interface Props {
  id: string;
  value: string;
  language: string;
  onInput: (value: string) => void;
  onSubmit: () => void;
}

export function Editor({ id, value, language, onInput, onSubmit }: Props) {
  const back = useRef<HTMLPreElement>(null);
  const leaving = useRef(false);
  const keys = (event: KeyboardEvent & { currentTarget: HTMLTextAreaElement }) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      onSubmit();
    }
    if (event.key === "Tab" && !event.shiftKey && !leaving.current) {
      event.preventDefault();
      indent(event.currentTarget);
      onInput(event.currentTarget.value);
    }
    leaving.current = event.key === "Escape";
  };
  const pieces = value.length > COLOURED ? [{ kind: "", text: value }] : highlight(value, language);
  return (
    <div class="editor">
      <pre ref={back} aria-hidden="true">
        {pieces.map((piece, index) => (
          <span key={index} class={piece.kind && `c-${piece.kind}`}>
            {piece.text}
          </span>
        ))}
        {"\n"}
      </pre>
      <textarea
        id={id}
        value={value}
        spellcheck={false}
        autocapitalize="off"
        autocomplete="off"
        wrap="off"
        aria-describedby={`${id}-keys`}
        onInput={(event) => onInput(event.currentTarget.value)}
        onKeyDown={keys}
        onScroll={(event) => {
          back.current!.scrollTop = event.currentTarget.scrollTop;
          back.current!.scrollLeft = event.currentTarget.scrollLeft;
        }}
      />
      <p id={`${id}-keys`} class="hint">
        <kbd>Ctrl</kbd>+<kbd>Enter</kbd> submits. <kbd>Esc</kbd> and then <kbd>Tab</kbd> leaves the editor.
      </p>
    </div>
  );
}

function indent(area: HTMLTextAreaElement): void {
  area.setRangeText("    ", area.selectionStart, area.selectionEnd, "end");
}
