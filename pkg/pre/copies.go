// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

import "fmt"

// SealKeyFragment seals a key fragment to its gateway, bound to the fragment's grant and gateway id.
func SealKeyFragment(gateway *HybridPublicKey, k *KeyFragment) ([]byte, error) {
	if !k.valid() {
		return nil, parameter("seal key fragment: no fragment")
	}
	b := k.Bytes()
	defer clear(b)
	return SealTo(gateway, fragmentInfo(k.gateway, k.grant), b)
}

// OpenKeyFragment opens a key fragment sealed to this gateway under this grant. It does not check the fragment's signature:
// KeyFragment.Verify does, and Reencrypt calls it.
func OpenKeyFragment(
	key *HybridPrivateKey, gateway string, grant [HashSize]byte, sealed []byte,
) (*KeyFragment, error) {
	b, err := key.OpenFrom(fragmentInfo(gateway, grant), sealed)
	if err != nil {
		return nil, fmt.Errorf("open key fragment: %w", err)
	}
	defer clear(b)
	k, err := ParseKeyFragment(b)
	if err != nil {
		return nil, fmt.Errorf("open key fragment: %w", err)
	}
	if k.gateway != gateway || k.grant != grant {
		return nil, unproven("open key fragment: sealed under another gateway or grant than it names")
	}
	return k, nil
}

func fragmentInfo(gateway string, grant [HashSize]byte) []byte {
	return joinParts(labelSealFragment, grant[:], gatewayHash(gateway))
}

// SealPatientCopy seals K_share of a record to the patient's own hybrid key, so that the patient, who can decapsulate, reads
// without any gateway.
func SealPatientCopy(patient *HybridPublicKey, ctx [HashSize]byte, kShare []byte) ([]byte, error) {
	return sealKey(patient, joinParts(labelPatientCopy, ctx[:]), kShare)
}

// OpenPatientCopy returns K_share from the patient's copy.
func OpenPatientCopy(patient *HybridPrivateKey, ctx [HashSize]byte, sealed []byte) ([]byte, error) {
	return openKey(patient, joinParts(labelPatientCopy, ctx[:]), sealed)
}

// SealHospitalCopy seals a record's data key to the record key of the author's hospital: its legal copy.
func SealHospitalCopy(hospital *HybridPublicKey, ctx [HashSize]byte, dek []byte) ([]byte, error) {
	return sealKey(hospital, joinParts(labelHospitalCopy, ctx[:]), dek)
}

// OpenHospitalCopy returns the data key from the author hospital's copy.
func OpenHospitalCopy(hospital *HybridPrivateKey, ctx [HashSize]byte, sealed []byte) ([]byte, error) {
	return openKey(hospital, joinParts(labelHospitalCopy, ctx[:]), sealed)
}

// SealDirectKey seals K_pre of one single record to a reader under a grant: the narrow alternative to Rekey, after which even a
// threshold of gateways together with that reader gains no other record. The shares still come from the gateways.
func SealDirectKey(reader *HybridPublicKey, ctx, grant [HashSize]byte, kPre []byte) ([]byte, error) {
	return sealKey(reader, joinParts(labelDirectKey, ctx[:], grant[:]), kPre)
}

// OpenDirectKey returns K_pre from a direct grant.
func OpenDirectKey(reader *HybridPrivateKey, ctx, grant [HashSize]byte, sealed []byte) ([]byte, error) {
	return openKey(reader, joinParts(labelDirectKey, ctx[:], grant[:]), sealed)
}

func sealKey(pk *HybridPublicKey, info, key []byte) ([]byte, error) {
	if len(key) != KeySize {
		return nil, parameter("seal: key of %d bytes", len(key))
	}
	return SealTo(pk, info, key)
}

func openKey(sk *HybridPrivateKey, info, sealed []byte) ([]byte, error) {
	if len(sealed) != SealedKeySize {
		return nil, malformed("open sealed: %d bytes", len(sealed))
	}
	return sk.OpenFrom(info, sealed)
}
