"""Checks a log directory with software that nobody of this project wrote.

    python check_log.py LOGDIR VKEYFILE [EARLIER-CHECKPOINT]

aics-tlog: signature and form of the checkpoint, every tile and bundle, inclusion proofs, and a consistency proof from
EARLIER-CHECKPOINT (a saved `checkpoint` file). pymerkle: the root over all entries, hashed anew. Prints what it
checked; exits 1 at the first failure, 2 on wrong usage.
"""

import random
import sys
from pathlib import Path

import aics_tlog
import pymerkle

# Entries whose inclusion is proved: the edges of bundles and of the log, and some drawn with a fixed seed.
EDGES = (0, 1, 254, 255, 256, 257, 511, 512, 65_535, 65_536)
DRAWN = 200


class Failure(Exception):
    """What was found wrong."""


def require(condition, what):
    if not condition:
        raise Failure(what)
    print(f"ok  {what}")


def open_checkpoint(path, key):
    note = aics_tlog.parse_note(path.read_bytes())
    result = aics_tlog.verify_checkpoint(note, key, expected_origin=key.name)
    require(result.ok and result.log_ok, f"{path.name}: signed by {key.name}, {result.size} entries {result.error or ''}".rstrip())
    return aics_tlog.parse_checkpoint(note.text)


def check_tiles(reader, head):
    report = aics_tlog.audit_tiles(reader, head.size, head.root)
    require(report.size == head.size, f"{report.tiles} tiles and {report.bundles} bundles belong to the root")
    require(
        aics_tlog.tree_root_from_tiles(reader, head.size) == head.root,
        "the right edge of the tiles gives the root",
    )


def check_inclusion(reader, head):
    chosen = {index for index in (*EDGES, head.size - 1) if 0 <= index < head.size}
    chosen.update(random.Random(1).sample(range(head.size), min(DRAWN, head.size)))
    for index in sorted(chosen):
        entry = aics_tlog.read_entry(reader, index, head.size)
        proof = aics_tlog.inclusion_proof_from_tiles(reader, index, head.size)
        if not aics_tlog.verify_leaf_inclusion(entry, index, head.size, proof, head.root):
            raise Failure(f"entry {index} is not proved by its inclusion proof")
        if aics_tlog.verify_leaf_inclusion(entry + b"x", index, head.size, proof, head.root):
            raise Failure(f"a changed entry {index} is proved too: this check checks nothing")
    require(True, f"{len(chosen)} entries are proved by their inclusion proofs")


def check_consistency(reader, old, head):
    require(old.size <= head.size, f"the log did not shrink from {old.size} to {head.size} entries")
    proof = [] if old.size in (0, head.size) else aics_tlog.consistency_proof_from_tiles(reader, old.size, head.size)
    require(
        aics_tlog.verify_consistency(old.size, head.size, old.root, head.root, proof),
        f"the log of {head.size} entries continues the one of {old.size}",
    )


def check_root(reader, head):
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for index in range((head.size + 255) // 256):
        width = min(256, head.size - index * 256)
        bundle = reader.read_entry_bundle(index, None if width == 256 else width)
        if bundle is None:
            raise Failure(f"bundle {index} is missing")
        entries = aics_tlog.tiles.parse_entry_bundle(bundle)
        if len(entries) != width:
            raise Failure(f"bundle {index} holds {len(entries)} entries and must hold {width}")
        tree.append_entries(entries)
    require(tree.get_size() == head.size, f"pymerkle counts {head.size} entries")
    require(tree.get_root() == head.root, "pymerkle's root over all entries is the checkpoint's")


def main(arguments):
    if len(arguments) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    log = Path(arguments[0])
    try:
        key = aics_tlog.read_vkey_file(Path(arguments[1]).read_text())
        head = open_checkpoint(log / "checkpoint", key)
        reader = aics_tlog.FileSystemTileReader(log)
        if head.size:
            check_tiles(reader, head)
            check_inclusion(reader, head)
        if len(arguments) == 3:
            check_consistency(reader, open_checkpoint(Path(arguments[2]), key), head)
        check_root(reader, head)
    except (Failure, OSError, ValueError) as failure:
        print(f"FAILED  {type(failure).__name__}: {failure}", file=sys.stderr)
        return 1
    print(f"the log of {head.size} entries is right")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
