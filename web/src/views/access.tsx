/** Who may, and who tried what. For the admin. */
import type { Key } from "quell-client";
import { useEffect, useState } from "preact/hooks";
import { ago, dateTime, now } from "../format.js";
import { Table } from "../parts/table.js";
import { TroubleBox } from "../parts/trouble.js";
import { quell } from "../session.js";
import { tell, tellTrouble } from "../toast.js";
import { Audit } from "./audit.js";
import { NewKeyForm } from "./newkey.js";

export function AccessView() {
  const [keys, setKeys] = useState<readonly Key[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  const again = () => setTurn(turn + 1);
  useEffect(() => {
    const end = new AbortController();
    quell.keys({ signal: end.signal }).then(
      (found) => (setKeys(found), setError(null)),
      (refusal: unknown) => end.signal.aborted || setError(refusal),
    );
    return () => end.abort();
  }, [turn]);
  return (
    <div class="access">
      <h1>Access</h1>
      {error !== null && <TroubleBox error={error} retry={again} />}
      {keys && (
        <>
          <section class="panel">
            <h2>Keys</h2>
            <KeyTable keys={keys} onChange={again} />
            <NewKeyForm onMade={again} />
          </section>
          <Audit turn={turn} />
        </>
      )}
    </div>
  );
}

function KeyTable({ keys, onChange }: { keys: readonly Key[]; onChange: () => void }) {
  if (!keys.length)
    return (
      <p class="hint">
        There is none yet beside the admin's. Make one for each person and program: it sees and stops what is its
        owner's, and can be taken back alone.
      </p>
    );
  return (
    <Table label="Keys in force" head={["Name", "Owner", "Role", "May", "Made", "Until", null]}>
      {keys.map((key) => (
        <tr key={key.key_id}>
          <th scope="row">{key.name ?? <code>{key.key_id}</code>}</th>
          <td>{key.owner}</td>
          <td>{key.role}</td>
          <td>{key.scopes.join(", ")}</td>
          <td title={dateTime(key.created_at)}>{ago(key.created_at, now.value)}</td>
          <td>{key.expires_at ? dateTime(key.expires_at) : "no end"}</td>
          <td>
            <Revoke id={key.key_id} name={key.name ?? key.key_id} onDone={onChange} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** Asks once more where it was pressed: what a revoked key opened can't be opened by it again. */
function Revoke({ id, name, onDone }: { id: string; name: string; onDone: () => void }) {
  const [sure, setSure] = useState(false);
  const revoke = async () => {
    try {
      await quell.revokeKey(id);
      tell(`${name} opens nothing any more.`);
      onDone();
    } catch (error) {
      tellTrouble(error);
    }
  };
  const press = () => (sure ? void revoke() : setSure(true));
  return (
    <button class={sure ? "danger small" : "plain small"} onClick={press} onBlur={() => setSure(false)}>
      {sure ? "Revoke for good" : "Revoke"}
      <span class="visually-hidden"> {name}</span>
    </button>
  );
}
