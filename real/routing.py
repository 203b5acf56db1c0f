"""Routing policies in front of real engines, with conversations of several turns.

    python routing.py TAILPLANE [--rounds N] [...]

Each round plays the same conversations under each policy, one policy after the
other, on engines that have just started, so that their caches are empty. One
Tailplane has a model for each policy, all over the same engines; it runs through
all rounds, so what it learned stays. What the engines count, what the clients see
and what the ledger says is compared. It ends with 1 when a request fails, when
these differ, or when `auto` is not better than the others.
"""

import argparse
import json
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import dataclass

import openai

from stage import KEY, Bench, expect, free_port, wait

HERE = pathlib.Path(__file__).parent
POLICIES = ("auto", "round_robin", "least_request")
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36}  # for 95 %, by how many there are
WORDS = """amber anchor apple archive autumn baker basket beacon bell bread bridge bucket cabin candle canvas castle cedar chalk cherry
clock cloud copper corner cotton court cradle crane creek crystal dairy desk dinner door dream drum eagle ember engine farm feather
fence field finger flag flour forest fountain friend frost garden gate ghost glass glove gold grain grape guest hammer harbour harvest
hat hill honey horse house island ivory jacket jewel kettle key kitchen kite ladder lake lamp lantern leaf lemon letter library light
linen lion map marble market meadow milk mirror moon morning mountain needle nest night north oak ocean olive orange orchard oven
paint paper path pearl pencil pepper piano pine planet plate plum pocket pond potato queen rain raven ribbon rice river road roof
rope rose sail salt sand school seed shadow shell ship shoe silver sister smoke snow soap spoon spring stable star station stone
storm story street sugar summer table tailor tea temple thread thunder tower town train tree tunnel valley velvet village violin
wagon wall water wheat wheel whistle willow wind window winter wolf wood wool yard""".split()


@dataclass
class Turn:
    """One request as its client saw it. Times in seconds."""

    policy: str
    round: int
    conversation: int
    turn: int
    id: str
    target: str
    prompt: int
    cached: int
    output: int
    first: float


def text(rng, sentences):
    """So many sentences of eight words; about twelve tokens each."""
    return " ".join((" ".join(rng.choices(WORDS, k=8)) + ".").capitalize() for _ in range(sentences))


def conversations(options, round):
    """What is said in a round: two of three conversations share the instructions
    of one customer, the others have their own."""
    rng = random.Random(options.seed * 1000 + round)
    shared = "You help the guests of a hotel. Answer briefly. " + text(rng, options.instructions)
    out = []
    for i in range(options.conversations):
        own = "You sort letters for an office. Answer briefly. " + text(rng, options.instructions)
        asks = [f"Write one sentence with these words: {text(rng, 2)}" for _ in range(options.turns)]
        waits = [rng.uniform(0, options.conversations * options.think)]
        waits += [rng.expovariate(1 / options.think) for _ in asks[1:]]
        out.append((own if i % 3 == 2 else shared, asks, waits))
    return out


class Measurement:
    def __init__(self, bench, options):
        self.bench, self.options = bench, options
        self.engines = [f"engine-{chr(ord('a') + i)}" for i in range(options.engines)]
        self.ports = {name: free_port() for name in [*self.engines, "data", "admin"]}
        self.turns, self.failures, self.took, self.counted = [], [], {}, {}
        base = f"http://127.0.0.1:{self.ports['data']}"
        self.client = openai.OpenAI(api_key=KEY, base_url=base + "/v1", max_retries=0, timeout=300)

    def config(self):
        engines = {name: {"kind": "llamacpp", "url": f"http://127.0.0.1:{self.ports[name]}"} for name in self.engines}
        return {
            "version": 1,
            "listen": {s: {"addr": f"127.0.0.1:{self.ports[s]}"} for s in ("data", "admin")},
            "targets": engines,
            "models": {p: {"pool": self.engines, "served_as": "smollm2", "policy": p} for p in POLICIES},
            "health": {"slow_start": "10ms"},  # they are killed between the policies, and all of them
            "keys": {"static": [{"name": "real", "key": "env:REAL_CLIENT_KEY"}]},
            "ledger": {"dir": self.bench.dir.name + "/state"},
        }

    def start(self):
        file = pathlib.Path(self.bench.dir.name) / "tailplane.yaml"
        file.write_text(json.dumps(self.config(), indent=1))
        self.bench.start("tailplane", [self.bench.tailplane, "serve", "-c", str(file)])
        wait(f"http://127.0.0.1:{self.ports['data']}/readyz", self.bench.children["tailplane"], 20)

    def restart_engines(self):
        """Engines with empty caches, which Tailplane knows to be well."""
        for name in self.engines:
            if name in self.bench.children:
                self.bench.kill(name)
        for name in self.engines:
            self.bench.start(name, [sys.executable, str(HERE / "engine.py"), str(self.ports[name]), str(self.options.slots)])
        for name in self.engines:
            wait(f"http://127.0.0.1:{self.ports[name]}/health", self.bench.children[name])
        for name in self.engines:
            until = time.monotonic() + 60
            while True:
                try:
                    self.client.chat.completions.create(model=f"{name}/smollm2", messages=[{"role": "user", "content": "Hi."}], max_tokens=1)
                    break
                except openai.APIError:
                    expect(time.monotonic() < until, f"{name} is up, but Tailplane does not ask it")
                    time.sleep(0.2)

    def counters(self):
        """Prompt tokens that the engines computed, and that they found in their
        caches."""
        computed = cached = 0
        for name in self.engines:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}/metrics") as answer:
                for line in answer.read().decode().splitlines():
                    computed += int(float(line.split()[1])) if line.startswith("llamacpp:prompt_tokens_total ") else 0
                    cached += int(float(line.split()[1])) if line.startswith("llamacpp:prompt_tokens_cached_total ") else 0
        return computed, cached

    def ask(self, place, history):
        """One turn: what was answered."""
        begun, first, answer, usage = time.monotonic(), None, "", None
        with self.client.chat.completions.create(
            model=place[0], messages=history, max_tokens=self.options.answer, temperature=0, stream=True, stream_options={"include_usage": True}
        ) as stream:
            for chunk in stream:
                if chunk.choices and chunk.choices[0].delta.content:
                    first = first or time.monotonic() - begun
                    answer += chunk.choices[0].delta.content
                usage = chunk.usage or usage
            head = stream.response.headers
        expect(first and usage, "an answer without a token or without usage")
        cached = usage.prompt_tokens_details.cached_tokens if usage.prompt_tokens_details else 0
        self.turns.append(Turn(
            *place, head["x-request-id"], head["x-tailplane-target"], usage.prompt_tokens, cached or 0, usage.completion_tokens, first
        ))
        return answer

    def converse(self, policy, round, number, conversation):
        system, asks, waits = conversation
        history = [{"role": "system", "content": system}]
        for turn, (ask, pause) in enumerate(zip(asks, waits)):
            time.sleep(pause)
            history.append({"role": "user", "content": ask})
            try:
                answer = self.ask((policy, round, number, turn), history)
            except (openai.APIError, AssertionError) as error:
                self.failures.append(f"{policy}, round {round}, conversation {number}, turn {turn}: {error}")
                return
            history.append({"role": "assistant", "content": answer})

    def play(self, policy, round):
        """All conversations of a round under a policy, at the same time."""
        self.restart_engines()
        before, begun = self.counters(), time.monotonic()
        threads = [threading.Thread(target=self.converse, args=(policy, round, i, c)) for i, c in enumerate(conversations(self.options, round))]
        [t.start() for t in threads]
        [t.join() for t in threads]
        self.took[policy, round] = time.monotonic() - begun
        self.counted[policy, round] = [b - a for a, b in zip(before, self.counters())]
        mine = self.of(policy, round)
        expect(mine, f"no request was answered, such as: {self.failures[-1:]}")
        print(f"  round {round + 1}  {policy:13}  {self.took[policy, round]:5.1f} s  hit rate {100 * hit_rate(mine):4.1f} %  "
              f"first token {statistics.mean(t.first for t in mine):5.2f} s", flush=True)

    def of(self, policy, round=None):
        return [t for t in self.turns if t.policy == policy and round in (None, t.round)]


def hit_rate(turns):
    return sum(t.cached for t in turns) / sum(t.prompt for t in turns)


def interval(values, digits, scale=1):
    """The mean of the rounds, with its 95 % interval (Student's)."""
    mean = statistics.mean(values) * scale
    if len(values) < 2:
        return f"{mean:.{digits}f}"
    half = STUDENT.get(len(values), 2.31) * statistics.stdev(values) * scale / math.sqrt(len(values))
    return f"{mean:.{digits}f} ±{half:.{digits}f}"


def moved(turns):
    """The share of turns that went elsewhere than the turn before."""
    at = {(t.round, t.conversation, t.turn): t.target for t in turns}
    later = [(at[r, c, n], at.get((r, c, n - 1))) for r, c, n in at if n > 0]
    return sum(now != before for now, before in later) / max(1, len(later))


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, math.ceil(q * len(values)) - 1)]


def report(m):
    """The table, for people and for the documentation."""
    rounds = sorted({t.round for t in m.turns})
    print("\n| policy | hit rate, % | first token, mean, s | p50 | p90 | of later turns | beside auto | moved, % | wall time, s | failed |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for policy in POLICIES:
        mine = m.of(policy)
        first = [statistics.mean(t.first for t in m.of(policy, r)) for r in rounds]
        beside = [x / statistics.mean(t.first for t in m.of("auto", r)) for x, r in zip(first, rounds)]
        print(f"| `{policy}` | {interval([hit_rate(m.of(policy, r)) for r in rounds], 1, 100)} | {interval(first, 2)} "
              f"| {quantile([t.first for t in mine], 0.5):.2f} | {quantile([t.first for t in mine], 0.9):.2f} "
              f"| {statistics.mean(t.first for t in mine if t.turn > 0):.2f} "
              f"| {'' if policy == 'auto' else interval(beside, 2)} | {100 * moved(mine):.0f} "
              f"| {interval([m.took[policy, r] for r in rounds], 1)} | {sum(f.startswith(policy + ',') for f in m.failures)} |")
    print()


def ledger(m):
    """Every request's tokens, cached ones and target, in the ledger and at the client."""
    command = [m.bench.tailplane, "export", "-o", "jsonl", "--from", "2000-01-01", "--state", m.bench.dir.name + "/state"]
    until = time.monotonic() + 10
    while True:  # the journal drains into the store in batches
        done = subprocess.run(command, capture_output=True, text=True)
        expect(done.returncode == 0, done.stderr.strip())
        records = {r["id"]: r for r in map(json.loads, done.stdout.splitlines())}
        if all(t.id in records for t in m.turns) or time.monotonic() > until:
            break
        time.sleep(0.2)
    for t in m.turns:
        expect(t.id in records, f"the ledger has no record of {t.id}")
        r, u = records[t.id], records[t.id]["usage"]
        said = (r["outcome"], r["model"], r["target"], u["input"], u.get("cache_read", 0), u["output"])
        seen = ("ok", t.policy, t.target, t.prompt, t.cached, t.output)
        expect(said == seen, f"{t.id}: the ledger says {said}, the client saw {seen}")
    return f"{len(m.turns)} requests, {sum(t.cached for t in m.turns)} of {sum(t.prompt for t in m.turns)} tokens cached"


def first_tokens(m):
    """When the ledger's first tokens came, and the client's, for some requests."""
    late = []
    for t in random.Random(m.options.seed).sample(m.turns, min(12, len(m.turns))):
        said = m.bench.why(t.id)["first_token_ns"] / 1e9
        expect(said <= t.first, f"{t.id}: the ledger's first token came after {said:.3f} s, the client's after {t.first:.3f} s")
        late.append(t.first - said)
    expect(statistics.median(late) < 0.1, f"clients see first tokens {late} s later than the ledger says")
    return f"clients see them {1000 * statistics.median(late):.0f} ms later (median of {len(late)})"


def engines_agree(m):
    """What the engines counted is what the clients were told."""
    for (policy, round), counted in m.counted.items():
        mine = m.of(policy, round)
        cached = sum(t.cached for t in mine)
        seen = [sum(t.prompt for t in mine) - cached, cached]
        expect(counted == seen, f"{policy}, round {round}: the engines counted {counted} tokens computed and cached, the clients were told {seen}")


def no_failures(m):
    expect(not m.failures, f"{len(m.failures)}, such as: {m.failures[:1]}")


def better(m, other):
    mine, theirs = m.of("auto"), m.of(other)
    first = [statistics.mean(t.first for t in ts) for ts in (mine, theirs)]
    hits = [hit_rate(ts) for ts in (mine, theirs)]
    expect(hits[0] > hits[1], f"hit rate {100 * hits[0]:.1f} % and {100 * hits[1]:.1f} %")
    expect(first[0] < first[1], f"first token after {first[0]:.2f} s and {first[1]:.2f} s")
    return f"{first[1] / first[0]:.2f} times sooner, {100 * (hits[0] - hits[1]):.0f} points more from caches"


def scenario(bench, options):
    m = Measurement(bench, options)
    m.start()
    print(f"{options.engines} llama.cpp servers, 1 thread and {options.slots} slots each, SmolLM2-135M-Instruct Q4_1; {options.conversations} "
          f"conversations at a time, {options.turns} turns each, seed {options.seed}", flush=True)
    begun = time.monotonic()
    for round in range(options.rounds):
        if round > 1 and (time.monotonic() - begun) * (round + 1) / round > options.minutes * 60:
            print(f"  the machine is too slow for {options.rounds} rounds in {options.minutes} minutes")
            break
        turn = 2 * (round // 2) % 3
        order = POLICIES[turn:] + POLICIES[:turn]
        for policy in order[::-1] if round % 2 else order:
            m.play(policy, round)
    report(m)
    bench.check("no request failed", lambda: no_failures(m))
    bench.check("the ledger has the clients' tokens and targets", lambda: ledger(m))
    bench.check("the ledger has the clients' first tokens", lambda: first_tokens(m))
    bench.check("the engines counted what the clients were told", lambda: engines_agree(m))
    for other in POLICIES[1:]:
        bench.check(f"auto is better than {other}", lambda: better(m, other))
    if os.environ.get("REAL_TURNS"):
        pathlib.Path(os.environ["REAL_TURNS"]).write_text("".join(json.dumps(vars(t)) + "\n" for t in m.turns))


def arguments():
    p = argparse.ArgumentParser(prog="routing.sh", description="Measures routing policies in front of real engines.")
    p.add_argument("tailplane", help=argparse.SUPPRESS)
    for name, value, tells in (
        ("engines", 2, "engine processes"), ("slots", 4, "prompts that each engine keeps"), ("conversations", 6, "that are held at the same time"),
        ("turns", 5, "of each conversation"), ("instructions", 8, "sentences before each conversation"), ("answer", 12, "tokens at most"),
        ("think", 2, "seconds before a turn, in the mean"), ("rounds", 3, "of each policy"),
        ("minutes", 6, "in which they must end; two are played anyway"), ("seed", 1, "of what is said and when"),
    ):
        p.add_argument("--" + name, type=int, default=value, metavar="N", help=f"{tells} ({value})")
    return p.parse_args()


def main():
    options = arguments()
    bench, begun = Bench(os.path.abspath(options.tailplane)), time.monotonic()
    try:
        scenario(bench, options)
    finally:
        bench.close()
    print(f"real-routing: {bench.passed} passed, {bench.failed} failed  ({time.monotonic() - begun:.0f} s)")
    sys.exit(1 if bench.failed else 0)


main()
