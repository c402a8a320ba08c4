// Copyright The Emrys Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const barWidth = 64 // columns

// transferBar shows a transfer on a terminal, and nothing anywhere else. Only
// one goroutine may update it.
type transferBar struct {
	container *mpb.Progress
	bar       *mpb.Bar
	total     int64
}

// transfer starts a bar. total is -1 when it is not known.
func (a *app) transfer(name string, total int64) *transferBar {
	if _, ok := terminalOf(a.stderr); !ok || a.json {
		return &transferBar{}
	}
	p := mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(barWidth))
	bar := p.AddBar(max(total, 0),
		mpb.PrependDecorators(decor.Name(name+" "), decor.Counters(decor.SizeB1024(0), "% .1f / % .1f")),
		mpb.AppendDecorators(decor.Percentage(decor.WC{W: 5}), decor.AverageSpeed(decor.SizeB1024(0), " % .1f")),
		mpb.BarRemoveOnComplete())
	return &transferBar{container: p, bar: bar, total: total}
}

// counter starts a bar that counts, to an end that is not known.
func (a *app) counter(unit string) *transferBar {
	if _, ok := terminalOf(a.stderr); !ok || a.json {
		return &transferBar{}
	}
	p := mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(barWidth))
	bar := p.AddSpinner(0, mpb.AppendDecorators(decor.CurrentNoUnit("%d "+unit)), mpb.BarRemoveOnComplete())
	return &transferBar{container: p, bar: bar, total: -1}
}

// count is update for a number of things.
func (b *transferBar) count(done int) { b.update(uint64(max(done, 0))) } //nolint:gosec // not negative

// update sets how many octets are done.
func (b *transferBar) update(done uint64) {
	if b.bar == nil {
		return
	}
	n := int64(done) //nolint:gosec // at most 2^50
	if b.total < 0 {
		b.bar.SetTotal(n+1, false)
	}
	b.bar.SetCurrent(n)
}

// end takes the bar away.
func (b *transferBar) end(ok bool) {
	if b.bar == nil {
		return
	}
	if ok {
		b.bar.SetTotal(-1, true)
	} else {
		b.bar.Abort(true)
	}
	b.container.Wait()
}
