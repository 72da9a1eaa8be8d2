/** One of a few, with its name beside it. */
interface Props<Value extends string | number> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onPick: (value: Value) => void;
}

export function Pick<Value extends string | number>({ label, value, options, onPick }: Props<Value>) {
  return (
    <label>
      {label}{" "}
      <select value={value} onChange={(event) => onPick(options[event.currentTarget.selectedIndex]![0])}>
        {options.map(([one, name]) => (
          <option key={one} value={one}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
