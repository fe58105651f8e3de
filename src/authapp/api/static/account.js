"use strict";
// The script of the pages to which links in mails lead. Nothing is sent before somebody presses a button: mail
// scanners open links, and some run scripts. All words are in the page; this file has none.
(() => {
  const TIMEOUT_MS = 30_000;
  const CHALLENGE = "authapp.login-challenge";
  const FLOW = "authapp.provider-flow";
  const RETURNED = "returned";
  const main = document.querySelector("main");
  const steps = [...main.querySelectorAll("section")];
  /** What forms send without showing it. The token is here alone: no address, history or storage has it. */
  const secrets = { token: null, challenge: null };

  function start({ moveFocus = false } = {}) {
    secrets.token = new URLSearchParams(location.hash.slice(1)).get("token");
    if (location.hash) history.replaceState(null, "", location.pathname + location.search);
    secrets.challenge = main.dataset.withChallenge ? storedChallenge() : null;
    const query = new URLSearchParams(location.search);
    if (query.has("state") && document.getElementById(RETURNED)) return finishLogin(query);
    show(firstStep(), { moveFocus });
  }

  function firstStep() {
    const { withToken, withoutToken, withChallenge, withoutChallenge } = main.dataset;
    if (!withChallenge || Boolean(secrets.token) === Boolean(secrets.challenge)) {
      return secrets.token ? withToken : withoutToken;
    }
    return secrets.challenge ? withChallenge : withoutChallenge;
  }

  function show(id, { moveFocus = true } = {}) {
    for (const step of steps) step.hidden = step.id !== id;
    for (const problem of main.querySelectorAll(".problem")) setProblem(problem, null);
    if (moveFocus) document.getElementById(id).querySelector("h1").focus();
  }

  async function submit(form) {
    const button = form.querySelector("[type=submit]");
    const text = button.textContent;
    for (const toggle of form.querySelectorAll("[data-reveal]")) reveal(toggle, false);
    setProblem(form.querySelector(".problem"), null);
    button.disabled = true;
    button.textContent = button.dataset.busy;
    let outcome;
    try {
      if (form.dataset.passkey) outcome = await sendPasskey();
      else if (form.dataset.provider) outcome = await beginLogin(form.dataset.provider);
      else outcome = await send(form.dataset, fieldsOf(form));
      if (outcome.body?.access_token) await logOut(outcome.body.access_token);
    } finally {
      button.disabled = false;
      button.textContent = text;
    }
    if (outcome.problem) return refuse(form, outcome.problem);
    if (form.dataset.keep === "challenge") storeChallenge(outcome.body);
    else if (form.dataset.send?.includes("challenge")) forgetChallenge();
    form.reset();
    show(form.dataset.done);
  }

  /** Return `{body}` of a success, or `{problem}`: what went wrong, with the code of its message. */
  async function send({ method, path }, fields, token) {
    let response;
    try {
      response = await fetch(main.dataset.api + path, {
        method,
        headers: { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) },
        body: JSON.stringify(fields),
        credentials: "omit",
        redirect: "error",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    } catch {
      return { problem: { code: "unavailable" } };
    }
    const body = await response.json().catch(() => ({}));
    if (response.ok) return { body };
    const code = body.code ?? { 429: "too_many_requests" }[response.status] ?? `HTTP ${response.status}`;
    const retryAfter = Number(response.headers.get("Retry-After")) || 60;
    const { errors = [], challenge } = body;
    return { problem: { code, status: response.status, errors, retryAfter, challenge } };
  }

  /** End the session of a login: no page uses it. If that fails, it expires, and its user can end it. */
  function logOut(token) {
    return send({ method: "POST", path: "auth/logout" }, undefined, token);
  }

  /** Ask the browser for a passkey, and log in with it. It says itself whose it is. */
  async function sendPasskey() {
    const asked = await send({ method: "POST", path: "auth/passkey-challenges" }, {});
    if (asked.problem) return asked;
    let credential;
    try {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked.body);
      credential = await navigator.credentials.get({ publicKey });
    } catch { /* The user has closed the question, or has no passkey: browsers do not say which. */ }
    if (!credential) return { problem: { code: "passkey_unused" } };
    const answer = { challenge_id: asked.body.challenge_id, credential: credential.toJSON() };
    return send({ method: "POST", path: "auth/passkey-logins" }, answer);
  }

  /** Send the user to a provider. Return what went wrong, if the page stays. */
  async function beginLogin(name) {
    const path = `auth/providers/${name}/logins`;
    const begun = await send({ method: "POST", path }, { redirect_uri: location.origin + location.pathname });
    if (begun.problem) return begun;
    try {
      // Of this tab alone, and in no address: without it, nobody can use the code that comes back.
      sessionStorage.setItem(FLOW, JSON.stringify({ path, flow: begun.body.flow }));
    } catch {
      return { problem: { code: "failed" } };
    }
    location.assign(begun.body.authorization_url);
    return new Promise(() => {});
  }

  /** Complete the login with which a provider sent the user back; a button was pressed when it began. */
  function finishLogin(query) {
    history.replaceState(null, "", location.pathname);
    const form = document.getElementById(RETURNED).querySelector("form");
    const begun = storedFlow();
    show(RETURNED);
    form.querySelector("[type=submit]").hidden = true;
    if (!begun) return refuse(form, { code: "provider_login_failed" });
    if (!query.has("code")) return refuse(form, { code: "provider_denied" });
    form.dataset.path = begun.path;
    secrets.flow = begun.flow;
    for (const name of ["state", "code", "iss"]) secrets[name] = query.get(name) ?? undefined;
    return submit(form);
  }

  function storedFlow() {
    try {
      const begun = JSON.parse(sessionStorage.getItem(FLOW));
      sessionStorage.removeItem(FLOW);
      return begun;
    } catch {
      return null; // Storage is off, or holds something else.
    }
  }

  /** Offer providers on the pages to which they may send users back. */
  function offerProviders() {
    for (const form of main.querySelectorAll("[data-provider]")) {
      form.hidden = !form.dataset.hosts.split(" ").includes(location.host);
    }
  }

  /** Offer passkeys where the browser has them, on the pages that may use them. */
  function offerPasskeys() {
    for (const form of main.querySelectorAll("[data-passkey]")) {
      const isUsable = form.dataset.passkey.split(" ").includes(location.host);
      form.hidden = !(isUsable && globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON);
    }
  }

  function fieldsOf(form) {
    const fields = Object.fromEntries(new FormData(form));
    for (const input of form.querySelectorAll("[data-digits]")) fields[input.name] = input.value.replace(/\D/g, "");
    for (const name of (form.dataset.send ?? "").split(" ").filter(Boolean)) fields[name] = secrets[name];
    return fields;
  }

  function refuse(form, problem) {
    const message = messageOf(form, problem);
    if (["challenge_invalid", "second_factor_required"].includes(problem.code)) forgetChallenge();
    // The link is used up; this is the challenge of the second step.
    if (problem.challenge) secrets.challenge = problem.challenge;
    if (message.dataset.show) return show(message.dataset.show);
    const text = message.content.cloneNode(true);
    fill(text, "when", () => document.createTextNode(inWords(problem.retryAfter)));
    fill(text, "code", () => document.createTextNode(problem.code));
    fill(text, "reasons", () => listOf(problem.errors.map((error) => error.detail)));
    setProblem(form.querySelector(".problem"), text);
    form.querySelector("input, [type=submit]").focus();
  }

  /** A message within the form counts first, then one of the page, then one for what nobody foresaw. */
  function messageOf(form, { code, status }) {
    const named = (name) => `template[data-problem="${CSS.escape(name)}"]`;
    const ofPage = (name) => document.querySelector(`body > ${named(name)}`);
    return form.querySelector(named(code)) ?? ofPage(code) ?? ofPage(status >= 500 ? "unavailable" : "failed");
  }

  function fill(fragment, slot, content) {
    fragment.querySelector(`[data-slot="${slot}"]`)?.replaceWith(content());
  }

  function listOf(sentences) {
    const list = document.createElement("ul");
    for (const sentence of sentences) list.append(Object.assign(document.createElement("li"), { textContent: sentence }));
    return list;
  }

  /** Return "in 3 minutes", in the language of the page. */
  function inWords(seconds) {
    const units = [["hour", 3600], ["minute", 60], ["second", 1]];
    const [unit, size] = units.find(([, each]) => seconds >= 1.5 * each) ?? units.at(-1);
    return new Intl.RelativeTimeFormat(document.documentElement.lang).format(Math.ceil(seconds / size), unit);
  }

  function setProblem(problem, content) {
    problem.replaceChildren(...(content ? [content] : []));
    for (const input of problem.closest("form").querySelectorAll("input")) {
      if (content) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    }
  }

  function reveal(toggle, visible = toggle.getAttribute("aria-pressed") === "false") {
    toggle.setAttribute("aria-pressed", String(visible));
    document.getElementById(toggle.dataset.reveal).type = visible ? "text" : "password";
  }

  // A login link works only together with the challenge of the browser that asked for it. It is kept across tabs,
  // because mail programs open a new one; without the mail it is of no use to anybody.
  function storeChallenge({ challenge, expires_in: seconds }) {
    secrets.challenge = challenge;
    try {
      localStorage.setItem(CHALLENGE, JSON.stringify({ challenge, until: Date.now() + seconds * 1000 }));
    } catch { /* Storage is off: the code can still be typed into this window. */ }
  }

  function storedChallenge() {
    try {
      const { challenge, until } = JSON.parse(localStorage.getItem(CHALLENGE)) ?? {};
      if (until > Date.now()) return challenge;
      localStorage.removeItem(CHALLENGE);
    } catch { /* Storage is off, or holds something else. */ }
    return null;
  }

  function forgetChallenge() {
    secrets.challenge = null;
    try {
      localStorage.removeItem(CHALLENGE);
    } catch { /* Storage is off. */ }
  }

  main.addEventListener("submit", (event) => {
    event.preventDefault();
    submit(event.target);
  });
  main.addEventListener("click", ({ target }) => {
    if (target.dataset.show) show(target.dataset.show);
    if (target.dataset.reveal) reveal(target);
  });
  // Another link that is opened in this tab changes nothing but the fragment.
  addEventListener("hashchange", () => start({ moveFocus: true }));
  offerPasskeys();
  offerProviders();
  start();
})();
