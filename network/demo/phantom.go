// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"strconv"
)

// Phantom is a synthetic CT slice: a few ellipses in the manner of Shepp and
// Logan (IEEE Trans. Nucl. Sci. 21, 1974). It shows no real person.
type Phantom struct {
	// Size is the number of rows and of columns, 1 to 2048.
	Size int
	// Seed makes the unique identifiers: two seeds give two studies.
	Seed uint64
}

// UIDs of DICOM PS3.6 that a phantom uses.
const (
	uidCTImageStorage = "1.2.840.10008.5.1.4.1.1.2"
	uidExplicitLE     = "1.2.840.10008.1.2.1"
	// uidRoot is the UUID-derived root of PS3.5 annex B.2.
	uidRoot = "2.25."
)

type ellipse struct{ x, y, a, b, degrees, add float64 }

// WriteTo writes the slice as a DICOM file (PS3.10) in explicit VR little endian.
func (p Phantom) WriteTo(w io.Writer) (int64, error) {
	instance := uidRoot + strconv.FormatUint(p.Seed, 10) + "3"
	meta := &dataset{}
	meta.bytes(0x0002, 0x0001, "OB", []byte{0, 1})
	meta.text(0x0002, 0x0002, "UI", uidCTImageStorage)
	meta.text(0x0002, 0x0003, "UI", instance)
	meta.text(0x0002, 0x0010, "UI", uidExplicitLE)
	meta.text(0x0002, 0x0012, "UI", uidRoot+"1000000000000000000000000000001")

	var out bytes.Buffer
	out.Write(make([]byte, 128))
	out.WriteString("DICM")
	head := &dataset{}
	head.bytes(0x0002, 0x0000, "UL", binary.LittleEndian.AppendUint32(nil, uint32(meta.buf.Len())))
	out.Write(head.buf.Bytes())
	out.Write(meta.buf.Bytes())
	out.Write(p.body(instance))
	return out.WriteTo(w)
}

func (p Phantom) body(instance string) []byte {
	seed := strconv.FormatUint(p.Seed, 10)
	d := &dataset{}
	d.text(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL")
	d.text(0x0008, 0x0016, "UI", uidCTImageStorage)
	d.text(0x0008, 0x0018, "UI", instance)
	d.text(0x0008, 0x0020, "DA", "20260101")
	d.text(0x0008, 0x0030, "TM", "120000")
	d.text(0x0008, 0x0060, "CS", "CT")
	d.text(0x0008, 0x0070, "LO", "Emrys phantom")
	d.text(0x0010, 0x0010, "PN", "Phantom^Synthetic")
	d.text(0x0010, 0x0020, "LO", "PHANTOM")
	d.text(0x0010, 0x0040, "CS", "O")
	d.text(0x0020, 0x000D, "UI", uidRoot+seed+"1")
	d.text(0x0020, 0x000E, "UI", uidRoot+seed+"2")
	d.text(0x0020, 0x0011, "IS", "1")
	d.text(0x0020, 0x0013, "IS", "1")
	d.short(0x0028, 0x0002, 1)
	d.text(0x0028, 0x0004, "CS", "MONOCHROME2")
	d.short(0x0028, 0x0010, uint16(p.Size))
	d.short(0x0028, 0x0011, uint16(p.Size))
	d.text(0x0028, 0x0030, "DS", "0.5\\0.5")
	d.short(0x0028, 0x0100, 16)
	d.short(0x0028, 0x0101, 16)
	d.short(0x0028, 0x0102, 15)
	d.short(0x0028, 0x0103, 1)
	d.text(0x0028, 0x1052, "DS", "0")
	d.text(0x0028, 0x1053, "DS", "1")
	d.bytes(0x7FE0, 0x0010, "OW", p.pixels())
	return d.buf.Bytes()
}

// pixels renders Hounsfield-like values, 16-bit signed little endian, row by row.
func (p Phantom) pixels() []byte {
	ellipses := []ellipse{
		{0, 0, .69, .92, 0, 1000}, {0, -.0184, .6624, .874, 0, -960}, {.22, 0, .11, .31, -18, -20}, {-.22, 0, .16, .41, 18, -20},
		{0, .35, .21, .25, 0, 30}, {0, .1, .046, .046, 0, 40}, {0, -.1, .046, .046, 0, 40}, {-.08, -.605, .046, .023, 0, 30},
	}
	out := make([]byte, 0, 2*p.Size*p.Size)
	for row := range p.Size {
		for column := range p.Size {
			x := 2*float64(column)/float64(p.Size) - 1
			y := 1 - 2*float64(row)/float64(p.Size)
			value := -1000.0
			for _, e := range ellipses {
				if e.holds(x, y) {
					value += e.add
				}
			}
			out = binary.LittleEndian.AppendUint16(out, uint16(int16(value)))
		}
	}
	return out
}

func (e ellipse) holds(x, y float64) bool {
	sin, cos := math.Sincos(e.degrees * math.Pi / 180)
	dx, dy := x-e.x, y-e.y
	u, v := (dx*cos+dy*sin)/e.a, (dy*cos-dx*sin)/e.b
	return u*u+v*v <= 1
}

// dataset writes data elements in explicit VR little endian (PS3.5 section 7.1).
type dataset struct{ buf bytes.Buffer }

func (d *dataset) text(group, element uint16, vr, value string) {
	if len(value)%2 == 1 {
		pad := " "
		if vr == "UI" {
			pad = "\x00"
		}
		value += pad
	}
	d.bytes(group, element, vr, []byte(value))
}

func (d *dataset) short(group, element, value uint16) {
	d.bytes(group, element, "US", binary.LittleEndian.AppendUint16(nil, value))
}

func (d *dataset) bytes(group, element uint16, vr string, value []byte) {
	h := binary.LittleEndian.AppendUint16(nil, group)
	h = binary.LittleEndian.AppendUint16(h, element)
	h = append(h, vr...)
	if vr == "OB" || vr == "OW" {
		h = append(h, 0, 0)
		h = binary.LittleEndian.AppendUint32(h, uint32(len(value)))
	} else {
		h = binary.LittleEndian.AppendUint16(h, uint16(len(value)))
	}
	d.buf.Write(h)
	d.buf.Write(value)
}
