// Views by the part of the address behind #.
import { useEffect, useState } from "../vendor/htm-preact/standalone.module.js";

export function useRoute() {
  const [route, setRoute] = useState(parse(location.hash));
  useEffect(() => {
    const look = () => setRoute(parse(location.hash));
    addEventListener("hashchange", look);
    return () => removeEventListener("hashchange", look);
  }, []);
  return route;
}

export const brandAddress = (brand) => `#/brands/${encodeURIComponent(brand)}`;

function parse(hash) {
  const parts = hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decoded);
  if (!parts.length) return { view: "overview", key: "overview" };
  if (parts[0] === "brands" && parts.length === 2) return { view: "brand", brand: parts[1], key: `brand/${parts[1]}` };
  if (parts[0] === "evaluations" && parts.length === 1) return { view: "evaluations", key: "evaluations" };
  return { view: "unknown", key: hash };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
