"use strict";
(() => {
  const $ = (selector) => document.querySelector(selector);
  const help = $("#help");
  const button = $("#keys");
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());

  const follow = (relation) => {
    const link = $(`a[rel="${relation}"]`);
    if (link) link.click();
    return Boolean(link);
  };
  const walk = (step) => {
    const links = [...document.querySelectorAll(".timeline a[data-turn]")];
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
    if (next) next.focus();
    return Boolean(next);
  };
  const foldAll = () => {
    const all = [...document.querySelectorAll("details")];
    const open = all.some((part) => !part.open);
    for (const part of all) part.open = open;
    return true;
  };
  const inside = (event) => event.target.closest("pre, input, textarea, dialog");
  const keys = {
    j: () => follow("next") || walk(1),
    k: () => follow("prev") || walk(-1),
    ArrowRight: (event) => !inside(event) && follow("next"),
    ArrowLeft: (event) => !inside(event) && follow("prev"),
    Home: (event) => !inside(event) && window.scrollY === 0 && follow("up"),
    o: foldAll,
    "?": () => { if (!help.open) help.showModal(); return true; },
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || (help.open && event.key !== "?")) return;
    const action = keys[event.key];
    if (action && action(event)) event.preventDefault();
  });
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details")) part.open = true;
  });
})();
