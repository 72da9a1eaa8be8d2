/** Makes a key, and shows it the one time that it can be seen. */
import { useState } from "preact/hooks";
import type { NewKey, Role } from "quell-client";
import { Copy } from "../parts/copy.js";
import { TroubleBox } from "../parts/trouble.js";
import { quell } from "../session.js";

const ROLES: readonly [Role, string][] = [
  ["user", "user: what is its own"],
  ["operator", "operator: sees and stops all"],
  ["admin", "admin: keys and audit too"],
];

const SCOPES = ["read", "submit", "cancel", "kill", "delete", "admin"] as const;

export function NewKeyForm({ onMade }: { onMade: () => void }) {
  const [owner, setOwner] = useState("");
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("user");
  const [days, setDays] = useState("");
  const [scopes, setScopes] = useState<readonly (typeof SCOPES)[number][]>([]);
  const [made, setMade] = useState<NewKey | null>(null);
  const [error, setError] = useState<unknown>(null);
  const make = async () => {
    setError(null);
    try {
      const more = { ...(name && { name }), ...(days && { expires_in_s: Math.round(Number(days) * 86_400) }), ...(scopes.length && { scopes: [...scopes] }) };
      setMade(await quell.createKey({ owner, role, ...more }));
      setName("");
      onMade();
    } catch (refusal) {
      setError(refusal);
    }
  };
  return (
    <form
      class="new-key"
      onSubmit={(event) => {
        event.preventDefault();
        void make();
      }}
    >
      <label>
        Owner
        <input required value={owner} placeholder="alice" onInput={(event) => setOwner(event.currentTarget.value)} />
      </label>
      <label>
        Name
        <input value={name} placeholder="laptop" onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label>
        Role
        <select value={role} onChange={(event) => setRole(event.currentTarget.value as Role)}>
          {ROLES.map(([value, means]) => (
            <option key={value} value={value}>
              {means}
            </option>
          ))}
        </select>
      </label>
      <label>
        Days
        <input type="number" min="0" step="any" value={days} placeholder="no end" onInput={(event) => setDays(event.currentTarget.value)} />
      </label>
      <button class="primary">Make a key</button>
      <details class="scopes">
        <summary>Only a part of what its role may</summary>
        <div>
          {SCOPES.map((scope) => (
            <label key={scope} class="toggle">
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={({ currentTarget: { checked } }) =>
                  setScopes(checked ? [...scopes, scope] : scopes.filter((other) => other !== scope))
                }
              />{" "}
              {scope}
            </label>
          ))}
        </div>
      </details>
      {error !== null && <TroubleBox error={error} />}
      {made && (
        <div class="made" role="status">
          <p>
            The key of {made.owner}. It is shown this once:
            <br />
            <code>{made.key}</code>
          </p>
          <Copy label="Copy the key" text={() => made.key} />
          <button type="button" class="plain" onClick={() => setMade(null)}>
            I have it
          </button>
        </div>
      )}
    </form>
  );
}
