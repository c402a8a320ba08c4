// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package demo_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"github.com/emrys-health/emrys/network/demo"
)

func TestAnIndependentParserReadsThePhantom(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	_, err := demo.Phantom{Size: 64, Seed: 7}.WriteTo(&file)
	require.NoError(t, err)
	parsed, err := dicom.Parse(bytes.NewReader(file.Bytes()), int64(file.Len()), nil)
	require.NoError(t, err)
	rows, err := parsed.FindElementByTag(tag.Rows)
	require.NoError(t, err)
	require.Equal(t, []int{64}, dicom.MustGetInts(rows.Value))
	modality, err := parsed.FindElementByTag(tag.Modality)
	require.NoError(t, err)
	require.Equal(t, []string{"CT"}, dicom.MustGetStrings(modality.Value))
	pixels, err := parsed.FindElementByTag(tag.PixelData)
	require.NoError(t, err)
	frames := dicom.MustGetPixelDataInfo(pixels.Value).Frames
	require.Len(t, frames, 1)
	image, err := frames[0].GetImage()
	require.NoError(t, err)
	require.Equal(t, 64, image.Bounds().Dx())
}

func TestTwoSeedsGiveTwoStudies(t *testing.T) {
	t.Parallel()
	var a, b bytes.Buffer
	_, err := demo.Phantom{Size: 8, Seed: 1}.WriteTo(&a)
	require.NoError(t, err)
	_, err = demo.Phantom{Size: 8, Seed: 2}.WriteTo(&b)
	require.NoError(t, err)
	require.NotEqual(t, a.Bytes(), b.Bytes())
}
