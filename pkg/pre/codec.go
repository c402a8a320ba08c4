// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package pre

// reader takes fixed-size fields off an encoding. The first failure sticks, and end reports it or what is left over.
type reader struct {
	b   []byte
	err error
}

func (r *reader) take(n int) []byte {
	if r.err == nil && len(r.b) < n {
		r.err = malformed("%d bytes short", n-len(r.b))
	}
	if r.err != nil {
		return make([]byte, n)
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) point() point {
	p, err := parsePoint(r.take(PointSize))
	if r.err == nil {
		r.err = err
	}
	return p
}

func (r *reader) scalar() scalar {
	s, err := parseScalar(r.take(ScalarSize))
	if r.err == nil {
		r.err = err
	}
	return s
}

func (r *reader) hash() [HashSize]byte { return [HashSize]byte(r.take(HashSize)) }

func (r *reader) signature() [SignatureSize]byte { return [SignatureSize]byte(r.take(SignatureSize)) }

// gateway reads an id preceded by its length in one byte.
func (r *reader) gateway() string {
	n := int(r.take(1)[0])
	id := string(r.take(n))
	if r.err == nil && !validGateway(id) {
		r.err = malformed("gateway id")
	}
	return id
}

func (r *reader) end() error {
	if r.err == nil && len(r.b) != 0 {
		r.err = malformed("%d bytes left over", len(r.b))
	}
	return r.err
}

func appendGateway(b []byte, id string) []byte {
	b = append(b, byte(len(id))) // at most MaxGatewayID
	return append(b, id...)
}
