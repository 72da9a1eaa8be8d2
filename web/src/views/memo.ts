/** A component that is made anew only when what it is given changed. */
import { type ComponentChild, type FunctionComponent } from "preact";
import { useRef } from "preact/hooks";

export function memo<Props extends object>(make: (props: Props) => ComponentChild): FunctionComponent<Props> {
  return (props) => {
    const last = useRef<{ props: Props; made: ComponentChild }>(null);
    if (!last.current || !same(last.current.props, props)) last.current = { props, made: make(props) };
    return last.current.made as ReturnType<FunctionComponent<Props>>;
  };
}

function same<Props extends object>(a: Props, b: Props): boolean {
  const names = Object.keys(b) as (keyof Props)[];
  return Object.keys(a).length === names.length && names.every((name) => Object.is(a[name], b[name]));
}
