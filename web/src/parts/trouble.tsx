import { troubleOf } from "../trouble.js";

export function TroubleBox({ error, retry }: { error: unknown; retry?: () => void }) {
  const { what, todo } = troubleOf(error);
  return (
    <div class="trouble" role="alert">
      <strong>{what}</strong> {todo}
      {retry && (
        <button class="quiet" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}
