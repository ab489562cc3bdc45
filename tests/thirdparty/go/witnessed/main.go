// Runs a log of Tessera's in a directory, asks the witnesses of a policy to cosign it, and adds entries until its
// published checkpoint covers them: Tessera publishes only what a quorum cosigned.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(err)
	}
}

// run makes the log in dir. The signer key is a file; the policy is read from a file that the caller completes when it
// has told the witness of the key.
func run(dir, keyFile, policyFile string) error {
	ctx := context.Background()
	key, err := os.ReadFile(keyFile)
	if os.IsNotExist(err) {
		signer, verifier, err := note.GenerateKey(rand.Reader, "tessera.example/log")
		if err != nil {
			return err
		}
		fmt.Println(verifier)
		return os.WriteFile(keyFile, []byte(signer), 0o600)
	}
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(string(key))
	if err != nil {
		return err
	}
	policy, err := os.ReadFile(policyFile)
	if err != nil {
		return err
	}
	group, err := tessera.NewWitnessGroupFromPolicy(policy)
	if err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: dir})
	if err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(signer).
		WithCheckpointInterval(100*time.Millisecond).
		WithBatching(8, 50*time.Millisecond).
		WithWitnesses(group, &tessera.WitnessOptions{Timeout: 5 * time.Second})
	appender, shutdown, reader, err := tessera.NewAppender(ctx, driver, options)
	if err != nil {
		return err
	}
	await := tessera.NewPublicationAwaiter(ctx, reader.ReadCheckpoint, 50*time.Millisecond)
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for number := range 5 {
		entry := tessera.NewEntry(fmt.Appendf(nil, "entry %d", number))
		if _, _, err := await.Await(limited, appender.Add(limited, entry)); err != nil {
			return err
		}
	}
	checkpoint, err := reader.ReadCheckpoint(ctx)
	if err != nil {
		return err
	}
	fmt.Print(string(checkpoint))
	return shutdown(limited)
}
