// Appends entries to a Tessera log on a POSIX file system and prints how many a second its published checkpoint came
// to cover, as one row: name, writers, entries a second, seconds, settings.
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

var (
	dir      = flag.String("dir", "", "directory of the log; must not be there yet")
	drive    = flag.Duration("time", 10*time.Second, "how long writers append")
	writers  = flag.Int("writers", 64, "goroutines that append")
	window   = flag.Int("window", 1, "entries that each writer keeps on their way")
	size     = flag.Int("size", 1024, "bytes of an entry")
	batch    = flag.Uint("batch", 64, "WithBatching: most entries in a batch")
	age      = flag.Duration("age", time.Millisecond, "WithBatching: longest wait for a batch")
	interval = flag.Duration("interval", 100*time.Millisecond, "WithCheckpointInterval")
)

func main() {
	flag.Parse()
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	secret, _, err := note.GenerateKey(rand.Reader, "bench.example/log")
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: *dir})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithBatching(*batch, *age).
		WithCheckpointInterval(*interval).
		WithGarbageCollectionInterval(0).
		WithPushback(uint(max(4096, 2*(*writers)*(*window))))
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}

	var next atomic.Uint64 // the index after the highest one assigned
	start := time.Now()
	errs := make([]error, *writers)
	var group sync.WaitGroup
	for writer := range *writers {
		group.Go(func() { errs[writer] = write(ctx, appender, writer, start, &next) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	appended := time.Since(start)
	for {
		checkpoint, err := reader.ReadCheckpoint(ctx)
		if err != nil {
			return err
		}
		covered, err := coveredBy(checkpoint)
		if err != nil {
			return err
		}
		if covered >= next.Load() {
			break
		}
		if time.Since(start) > *drive+5*time.Minute {
			return fmt.Errorf("the checkpoint covers %d of %d entries after five minutes", covered, next.Load())
		}
		time.Sleep(time.Millisecond)
	}
	took := time.Since(start)
	fmt.Printf("Tessera, POSIX driver\t%d, %d on their way each\t%.0f\tuntil assigned alone: %.0f; batch %d or %v, checkpoint every %v, no deduplication\n",
		*writers, *window, float64(next.Load())/took.Seconds(), float64(next.Load())/appended.Seconds(), *batch, *age, *interval)
	return shutdown(ctx)
}

// write appends entries until the time is over, and waits for each one's index.
func write(ctx context.Context, appender *tessera.Appender, writer int, start time.Time, next *atomic.Uint64) error {
	var waiting []tessera.IndexFuture
	settle := func(future tessera.IndexFuture) error {
		index, err := future()
		if err != nil {
			return err
		}
		for {
			seen := next.Load()
			if index.Index < seen || next.CompareAndSwap(seen, index.Index+1) {
				return nil
			}
		}
	}
	for number := 0; time.Since(start) < *drive; number++ {
		entry := bytes.Repeat([]byte{7}, *size)
		copy(entry, fmt.Sprintf("%d %d ", writer, number))
		waiting = append(waiting, appender.Add(ctx, tessera.NewEntry(entry)))
		if len(waiting) == *window {
			if err := settle(waiting[0]); err != nil {
				return err
			}
			waiting = waiting[1:]
		}
	}
	for _, future := range waiting {
		if err := settle(future); err != nil {
			return err
		}
	}
	return nil
}

// coveredBy reads the size, which is a checkpoint's second line.
func coveredBy(checkpoint []byte) (uint64, error) {
	lines := bytes.SplitN(checkpoint, []byte("\n"), 3)
	if len(lines) < 3 {
		return 0, fmt.Errorf("not a checkpoint: %q", checkpoint)
	}
	return strconv.ParseUint(string(lines[1]), 10, 64)
}
