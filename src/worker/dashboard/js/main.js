// The frame around the views: navigation, theme, key.
import { html, render, useEffect, useRef, useState } from "../vendor/htm-preact/standalone.module.js";
import { forgetKey, giveKey, useKey } from "./key.js";
import { listen, useLive } from "./live.js";
import { useRoute } from "./router.js";
import { chooseTheme, chosenTheme, THEMES } from "./theme.js";
import { Empty } from "./ui.js";
import { Brand } from "./views/brand.js";
import { Evaluations } from "./views/evaluations.js";
import { Overview } from "./views/overview.js";

const TITLES = { overview: "Overview", evaluations: "Evaluation runs", unknown: "Not found" };

function App() {
  const route = useRoute();
  const { key, wanted } = useKey();
  const main = useRef(null);
  const shown = useRef(route.key);
  useEffect(() => (wanted ? undefined : listen()), [key, wanted]);
  useEffect(() => {
    document.title = `${TITLES[route.view] ?? route.brand} · Worker`;
    if (shown.current === route.key) return;
    shown.current = route.key;
    scrollTo(0, 0);
    main.current.focus();
  }, [route.key]);
  const skip = (event) => {
    event.preventDefault(); // The part behind # names the view.
    main.current.focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <${Header} route=${route} withKey=${key !== null && !wanted} />
    <main id="main" tabindex="-1" ref=${main}>${wanted ? html`<${KeyForm} why=${wanted} />` : html`<${View} route=${route} />`}</main>`;
}

function View({ route }) {
  switch (route.view) {
    case "overview": return html`<${Overview} />`;
    case "brand": return html`<${Brand} key=${route.brand} brand=${route.brand} />`;
    case "evaluations": return html`<${Evaluations} />`;
    default: return html`<h1>Not found</h1><${Empty}><p>There is no such page. <a href="#/">Go to the overview.</a></p><//>`;
  }
}

function Header({ route, withKey }) {
  const here = (view) => (route.view === view ? "page" : null);
  return html`<header><div class="bar-top">
    <a class="name" href="#/">Worker</a>
    <nav aria-label="Views"><a href="#/" aria-current=${here("overview")}>Overview</a>
      <a href="#/evaluations" aria-current=${here("evaluations")}>Evaluations</a></nav>
    <${LiveSign} /><${ThemeSwitch} />
    ${withKey && html`<button type="button" class="quiet" onClick=${forgetKey}>Forget key</button>`}
  </div></header>`;
}

function LiveSign() {
  const { state } = useLive();
  const text = { connecting: "connecting", live: "live", lost: "no connection, trying again" }[state];
  return html`<span class=${`sign ${state}`} role="status" id="live-sign">${text}</span>`;
}

function ThemeSwitch() {
  const [theme, setTheme] = useState(chosenTheme());
  const choose = (event) => {
    chooseTheme(event.target.value);
    setTheme(event.target.value);
  };
  return html`<label class="theme"><span class="unseen">Colours</span><select value=${theme} onChange=${choose}>
    ${THEMES.map((one) => html`<option value=${one} selected=${one === theme}>${one}</option>`)}</select></label>`;
}

function KeyForm({ why }) {
  const field = useRef(null);
  useEffect(() => field.current.focus(), []);
  const submit = (event) => {
    event.preventDefault();
    const text = field.current.value.trim();
    if (text) giveKey(text);
  };
  return html`<h1>API key</h1><p role="alert">${why}</p><form class="key" onSubmit=${submit}>
    <label for="key">Key (the setting WORKER_API_KEY of the service)</label>
    <input id="key" type="password" autocomplete="off" spellcheck="false" required ref=${field} />
    <button type="submit" class="main">Use this key</button>
    <p class="note">It is kept in this tab only and sent to this service only.</p></form>`;
}

const app = document.getElementById("app");
app.replaceChildren();
render(html`<${App} />`, app);
