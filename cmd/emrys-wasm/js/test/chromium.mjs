// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

import { readdirSync, readFileSync } from "node:fs";
import { chromium } from "playwright-core";

/** Starts Chromium without a window, with an empty profile and without traffic of its own. */
export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
}

/** Returns the memory in bytes of all processes that this one started, shared pages divided among those that share them. */
export function memoryOfChildren() {
  const parents = new Map();
  for (const pid of readdirSync("/proc").filter((n) => /^\d+$/.test(n))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      parents.set(Number(pid), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {
      // it has ended meanwhile
    }
  }
  const mine = (pid) => pid !== undefined && pid > 1 && (pid === process.pid || mine(parents.get(pid)));
  let total = 0;
  for (const pid of parents.keys()) {
    if (pid !== process.pid && mine(pid)) {
      try {
        total += 1024 * Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))[1]);
      } catch {
        // it has ended meanwhile
      }
    }
  }
  return total;
}
