// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

import * as lib from "../emrys.js";
import * as scenario from "./scenario.js";

const emrys = await lib.load("/emrys.wasm");
const s = await scenario.share(lib, emrys, location.origin, { size: 5000 });
const payload = await emrys.payloadKey(await emrys.openShared(s.opening));
postMessage({ ...payload, plainSize: s.plainSize, id: s.view.record.id });
