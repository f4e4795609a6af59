"use strict";
const show = async () => {
  document.getElementById("table").textContent = await (await fetch("table")).text();
};
new EventSource("events?sessions=no").addEventListener("state", show);
