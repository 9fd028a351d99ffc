"use strict";

// Every table follows one blocking query: it asks with the index of its last answer, and is answered when
// something has changed.

const WAIT = "60s";
const RETRY_MILLISECONDS = 2000;
const PATHS = {
  services: "/v1/internal/ui/services",
  intentions: "/v1/connect/intentions",
  instances: (service) => `/v1/health/service/${encodeURIComponent(service)}`,
};

let chosen = "";
let instancesStop = new AbortController();

async function follow(path, show, signal) {
  let index = 0;
  while (!signal?.aborted) {
    try {
      const answer = await fetch(`${path}?index=${index}&wait=${WAIT}`, { signal });
      if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
      const next = Number(answer.headers.get("X-Consul-Index"));
      show(await answer.json());
      index = next < index ? 0 : next;
      say("live");
    } catch (problem) {
      if (signal?.aborted) return;
      index = 0;
      say(`the server does not answer (${problem.message}); trying again`, true);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS));
    }
  }
}

function say(text, lost = false) {
  const state = document.getElementById("state");
  state.textContent = text;
  state.classList.toggle("lost", lost);
}

function cell(content, className = "") {
  const element = document.createElement("td");
  element.className = className;
  element.append(content);
  return element;
}

function fill(id, rows, columns, nothing) {
  const body = document.getElementById(id);
  if (rows.length === 0) {
    const empty = cell(nothing, "empty");
    empty.colSpan = columns;
    rows = [[empty]];
  }
  body.replaceChildren(...rows.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells);
    return row;
  }));
}

function worst(checks) {
  const order = ["critical", "warning", "passing"];
  return order.find((status) => checks.some((check) => check.Status === status)) ?? "passing";
}

function healthOf(service) {
  const parts = [
    [service.ChecksCritical, "critical"],
    [service.ChecksWarning, "warning"],
    [service.ChecksPassing, "passing"],
  ].filter(([count]) => count > 0);
  if (parts.length === 0) return cell("no checks");
  return cell(parts.map(([count, status]) => `${count} ${status}`).join(", "), parts[0][1]);
}

function meshOf(service) {
  if (!service.ConnectedWithProxy) return service.ConnectedWithGateway ? "behind a gateway" : "";
  return service.TransparentProxy ? "transparent proxy" : "proxy";
}

function chooser(name) {
  const button = document.createElement("button");
  button.textContent = name;
  button.setAttribute("aria-pressed", String(name === chosen));
  button.addEventListener("click", () => choose(name));
  return button;
}

function showServices(services) {
  const shown = (services ?? []).filter((service) => service.Kind !== "connect-proxy");
  fill("services", shown.map((service) => [
    cell(chooser(service.Name)),
    cell(String(service.InstanceCount)),
    healthOf(service),
    cell(meshOf(service)),
  ]), 4, "No service is registered.");
}

function showInstances(entries) {
  fill("instances", entries.map(({ Node, Service, Checks }) => [
    cell(Service.ID),
    cell(Node.Node),
    cell(`${Service.Address || Node.Address}:${Service.Port}`),
    cell(worst(Checks), worst(Checks)),
    cell(Checks.map((check) => `${check.Name}: ${check.Output || check.Status}`).join("; ")),
  ]), 5, "It has no instance.");
}

function showIntentions(intentions) {
  const ordered = (intentions ?? []).slice().sort((one, other) => other.Precedence - one.Precedence);
  fill("intentions", ordered.map((intention) => {
    const action = intention.Action || "by request";
    return [
      cell(intention.SourceName),
      cell(intention.DestinationName),
      cell(action, action),
      cell(String(intention.Precedence)),
    ];
  }), 4, "There is none: the default holds.");
}

function choose(service) {
  chosen = service;
  for (const button of document.querySelectorAll("#services button")) {
    button.setAttribute("aria-pressed", String(button.textContent === service));
  }
  document.getElementById("instances-title").textContent = `Instances of ${service}`;
  document.getElementById("instances-hint").hidden = true;
  document.getElementById("instances-table").hidden = false;
  instancesStop.abort();
  instancesStop = new AbortController();
  follow(PATHS.instances(service), showInstances, instancesStop.signal);
}

follow(PATHS.services, showServices);
follow(PATHS.intentions, showIntentions);
