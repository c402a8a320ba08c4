// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

// Package pre implements EMRYS-PRE-V1.
package pre

// Suite is the name of the protocol. It begins every hash, derivation and encoding.
const Suite = "EMRYS-PRE-V1"
