/** Code, cut into pieces that have a colour: comments, strings, numbers and words of the language. */
export interface Piece {
  kind: "" | "comment" | "string" | "number" | "word";
  text: string;
}

const WORDS: Record<string, string> = {
  python:
    "and as assert async await break class continue def del elif else except False finally for from global if import in is lambda None nonlocal not or pass raise return True try while with yield",
  bash: "case do done elif else esac exit export fi for function if in local read return set shift then trap until while",
  node: "async await break case catch class const continue default delete do else export false finally for from function if import in instanceof let new null of return static super switch this throw true try typeof undefined var void while yield",
  c: "break case char const continue default do double else enum extern float for if include int long return short signed sizeof static struct switch typedef union unsigned void volatile while",
};

const HASH = String.raw`#[^\n]*`;
const SLASHES = String.raw`\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)`;
const QUOTED = String.raw`"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?`;
const STRINGS: Record<string, string> = {
  python: String.raw`"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|${QUOTED}`,
  node: String.raw`\x60(?:\\.|[^\x60\\])*\x60?|${QUOTED}`,
};

function grammar(language: string): RegExp {
  const comment = language === "python" || language === "bash" ? HASH : SLASHES;
  const words = (WORDS[language] ?? "").split(" ").join("|") || "(?!)";
  const parts = [
    `(?<comment>${comment})`,
    `(?<string>${STRINGS[language] ?? QUOTED})`,
    String.raw`(?<number>\b\d[\w.]*)`,
    String.raw`(?<word>\b(?:${words})\b)`,
  ];
  return new RegExp(parts.join("|"), "g");
}

export function highlight(code: string, language: string): Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  for (const match of code.matchAll(grammar(language))) {
    if (match.index > at) pieces.push({ kind: "", text: code.slice(at, match.index) });
    const kind = Object.entries(match.groups!).find(([, text]) => text !== undefined)![0];
    pieces.push({ kind: kind as Piece["kind"], text: match[0] });
    at = match.index + match[0].length;
  }
  if (at < code.length) pieces.push({ kind: "", text: code.slice(at) });
  return pieces;
}
