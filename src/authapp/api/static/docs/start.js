"use strict";
(() => {
  // In sessionStorage: another tab does not get the token, and it ends with this one.
  const TOKEN = "authapp.docs.authorized";
  const FORGET = "authapp.docs.forget";
  const checkbox = document.querySelector("#keep input");
  const [ofTab, ofBrowser] = [storage("sessionStorage"), storage("localStorage")];

  /** Return a storage; where the browser is set to forbid it, one that keeps nothing. */
  function storage(name) {
    try {
      return window[name];
    } catch {
      return { getItem: () => null, setItem() {}, removeItem() {} };
    }
  }

  function remember(ui) {
    if (checkbox.checked) ofTab.setItem(TOKEN, JSON.stringify(ui.authSelectors.authorized().toJS()));
    else ofTab.removeItem(TOKEN);
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

  /** A plugin of Swagger UI that takes the link out of the button of an operation: a control in a control confuses screen readers. */
  function plainPaths() {
    const show = (Original, { React }) => ({ text }) => React.createElement("span", { className: "nostyle" }, text);
    return { wrapComponents: { DeepLink: show } };
  }

  /** What Swagger UI gives no name, or another one than it shows: where it is, and its name. */
  const NAMES = [
    ["#servers", () => "Server"],
    [".close-modal", () => "Close"],
    [".modal-btn.authorize", (button) => `${button.textContent}: apply credentials`],
    [".body-param__text", () => "Request body"],
    [".examples-select-element", () => "Example"],
    [".content-type-wrapper select", () => "Media type"],
    ["[data-param-name] :is(select, input)", (control) => control.closest("[data-param-name]").dataset.paramName],
    [".responses-table", (_table, index) => `Responses ${index + 1}`],
  ];

  function nameControls() {
    for (const [selector, nameOf] of NAMES) {
      document.querySelectorAll(selector).forEach((control, index) => {
        const name = nameOf(control, index);
        if (control.getAttribute("aria-label") !== name) control.setAttribute("aria-label", name);
      });
    }
  }

  function followColours() {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const apply = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
    dark.addEventListener("change", apply);
    apply();
  }

  checkbox.checked = ofBrowser.getItem(FORGET) === null;
  followColours();
  const ui = SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    tryItOutEnabled: true,
    // Its colours on code are too pale to read.
    syntaxHighlight: { activated: false },
    plugins: [remembering, needs, plainPaths],
    onComplete: () => {
      const kept = ofTab.getItem(TOKEN);
      if (kept !== null) ui.authActions.authorize(JSON.parse(kept));
    },
  });
  new MutationObserver(nameControls).observe(document.body, { childList: true, subtree: true });
  checkbox.addEventListener("change", () => {
    if (checkbox.checked) ofBrowser.removeItem(FORGET);
    else ofBrowser.setItem(FORGET, "1");
    remember(ui.getSystem());
  });
})();
