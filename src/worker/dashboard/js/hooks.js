// Data for components: read, read again, page by page.
import { useCallback, useEffect, useRef, useState } from "../vendor/htm-preact/standalone.module.js";
import { get, Problem } from "./api.js";

// One document. `everySec`: read it again; what is shown stays until the new one is there. path null: nothing is read.
export function useDocument(path, everySec = 0) {
  const [state, setState] = useState({ path: null, data: null, problem: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (path === null) return undefined;
    const leaving = new AbortController();
    let timer = 0;
    const read = async () => {
      const found = await attempt(() => get(path, leaving.signal));
      if (leaving.signal.aborted) return;
      setState((before) => ({
        path, data: found.data ?? (before.path === path ? before.data : null), problem: found.problem,
      }));
      if (everySec) timer = setTimeout(read, everySec * 1000);
    };
    read();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [path, everySec, turn]);
  const reload = useCallback(() => setTurn((before) => before + 1), []);
  const known = state.path === path ? state : { data: null, problem: null };
  return { data: known.data, problem: known.problem, loading: path !== null && !known.data && !known.problem, reload };
}

// A list with `items` and `next`. `pathOf(cursor)` names a page. The first page is read again every so often, or with
// `reload`; pages that were added by `more` are dropped then.
export function useList(pathOf, key, everySec = 0) {
  const [first, setFirst] = useState(key);
  const [added, setAdded] = useState([]);
  const [problem, setProblem] = useState(null);
  const [busy, setBusy] = useState(false);
  const whole = useDocument(pathOf(null), added.length ? 0 : everySec);
  const asked = useRef(key);
  asked.current = key;
  if (first !== key) {
    setFirst(key);
    setAdded([]);
    setProblem(null);
  }
  const pages = first === key && whole.data ? [whole.data, ...added] : whole.data ? [whole.data] : [];
  const next = pages.length ? pages[pages.length - 1].next : null;
  const more = async () => {
    setBusy(true);
    const found = await attempt(() => get(pathOf(next)));
    setBusy(false);
    if (asked.current !== key) return;
    setProblem(found.problem);
    if (found.data) setAdded((before) => [...before, found.data]);
  };
  const reload = () => {
    setAdded([]);
    whole.reload();
  };
  return {
    items: pages.flatMap((page) => page.items), first: whole.data, problem: whole.problem ?? problem,
    loading: whole.loading, more: next ? more : null, busy, reload,
  };
}

async function attempt(ask) {
  try {
    return { data: await ask(), problem: null };
  } catch (error) {
    if (error instanceof Problem) return { data: null, problem: error };
    if (error.name === "AbortError") return { data: null, problem: null };
    return { data: null, problem: new Problem(0, "The answer could not be used", String(error)) };
  }
}
