"""Trains a small classifier for two epochs from a folder of `CLASS/FILE.bin` samples, as a PyTorch job would from a mount.

    python3 train.py FOLDER MANIFEST

MANIFEST has one `sha256  CLASS/FILE.bin` line per sample, made from the source. Every sample that an epoch sees is
hashed as it is read; the run fails when a sample is missing, unknown or different. Prints one JSON line.
"""

import hashlib
import json
import os
import sys
import time

import torch
from torch.utils.data import DataLoader, Dataset

SAMPLE_BYTES = 4096
BATCH = 64
WORKERS = 2
EPOCHS = 2


class Folder(Dataset):
    def __init__(self, folder):
        self.folder = folder
        self.classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
        self.samples = [
            (label, f"{name}/{file}")
            for label, name in enumerate(self.classes)
            for file in sorted(os.listdir(os.path.join(folder, name)))
        ]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        label, name = self.samples[index]
        with open(os.path.join(self.folder, name), "rb") as file:
            data = file.read()
        sample = torch.frombuffer(bytearray(data[:SAMPLE_BYTES]), dtype=torch.uint8).float() / 255
        return sample, label, name, hashlib.sha256(data).hexdigest()


def main(folder, manifest):
    with open(manifest, encoding="utf-8") as file:
        expected = dict(reversed(line.rstrip("\n").split("  ", 1)) for line in file)
    torch.manual_seed(1)
    dataset = Folder(folder)
    model = torch.nn.Linear(SAMPLE_BYTES, len(dataset.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses, seconds = [], []
    for _ in range(EPOCHS):
        start, seen, total = time.time(), {}, 0.0
        for samples, labels, names, digests in DataLoader(dataset, BATCH, shuffle=True, num_workers=WORKERS):
            loss = torch.nn.functional.cross_entropy(model(samples), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(names)
            seen.update(zip(names, digests))
        if seen != expected:
            wrong = [name for name in expected.keys() | seen.keys() if expected.get(name) != seen.get(name)]
            sys.exit(f"{len(wrong)} samples differ from the source, the first: {sorted(wrong)[0]}")
        losses.append(round(total / len(dataset), 4))
        seconds.append(round(time.time() - start, 2))
    print(json.dumps({"samples": len(dataset), "losses": losses, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
