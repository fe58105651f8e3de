"use strict";
(() => {
  // In sessionStorage: another tab does not get the token, and it ends with this one.
  const TOKEN = "authapp.docs.authorized";
  const FORGET = "authapp.docs.forget";
  const checkbox = document.querySelector("#keep input");

  function remember(ui) {
    if (checkbox.checked) sessionStorage.setItem(TOKEN, JSON.stringify(ui.authSelectors.authorized().toJS()));
    else sessionStorage.removeItem(TOKEN);
  }

  /** A plugin of Swagger UI that remembers the token after each change of it. */
  function remembering(ui) {
    const afterwards = (original) => (payload) => {
      const result = original(payload);
      remember(ui.getSystem());
      return result;
    };
    return { statePlugins: { auth: { wrapActions: { authorize: afterwards, logout: afterwards } } } };
  }

  /** A plugin of Swagger UI that shows on each operation what it needs. */
  function needs() {
    const show = (Original, { React, specSelectors }) => ({ operationProps, ...props }) => {
      const place = ["paths", operationProps.get("path"), operationProps.get("method"), "x-needs"];
      const found = specSelectors.specJson().getIn(place)?.toJS() ?? [];
      const badges = found.map((need) => React.createElement("span", { key: need }, need));
      return React.createElement(
        "div", null,
        React.createElement(Original, { operationProps, ...props }),
        React.createElement("div", { className: "needs" }, badges),
      );
    };
    return { wrapComponents: { OperationSummary: show } };
  }

  function followColours() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
    dark.addEventListener("change", apply);
    apply();
  }

  checkbox.checked = localStorage.getItem(FORGET) === null;
  followColours();
  const ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    tryItOutEnabled: true,
    plugins: [remembering, needs],
    onComplete: () => {
      const kept = sessionStorage.getItem(TOKEN);
      if (kept !== null) ui.authActions.authorize(JSON.parse(kept));
    },
  });
  checkbox.addEventListener("change", () => {
    if (checkbox.checked) localStorage.removeItem(FORGET);
    else localStorage.setItem(FORGET, "1");
    remember(ui.getSystem());
  });
})();
