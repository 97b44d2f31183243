"""Many independent runs of the bench: what is done is kept, the rest is spread over all cores.

A run is a dict with an `id`; its result is the run and what came of it. Results are JSON lines
under a key, which the caller makes of all that a result depends on; what is there is not run
again, so an interrupted campaign goes on where it stopped.

Dask spreads the runs over this computer's cores. For more machines start `dask scheduler` and
`dask worker` there, in a checkout with PYTHONPATH=tools/trials, and name the scheduler's address.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import resource
import time

import rig_targets
from rooms import ROOT, TOOLS

HERE = pathlib.Path(__file__).resolve().parent


def hash_of(*parts):
    """A short name for what *parts* are."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part if isinstance(part, bytes) else repr(part).encode())
    return digest.hexdigest()[:12]


def tree_hash():
    """Of the firmware, the models and the bench."""
    files = []
    for folder in ("firmware", "lib", "tools/models", "tools/mocks", "tools/testbed"):
        files += sorted((ROOT / folder).rglob("*.py"))
    files += [TOOLS / "packctl" / f"{name}.py" for name in ("client", "frames", "ports", "schema")]
    files.append(TOOLS / "rig.py")
    return hash_of(*(data for path in files
                     for data in (str(path.relative_to(ROOT)), path.read_bytes())))


def cpu_seconds():
    """Of this process and of the controllers that it has closed."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + spent.ru_utime + spent.ru_stime


def prepare(boards):
    """Build what the runs need once, before the workers ask for it all together."""
    if "unix" in boards:
        os.environ["MICROPYTHON"] = rig_targets.find_unix()
    if "rp2040" in boards:
        os.environ["PACKCTL_UF2"] = rig_targets.find_uf2()


def read_results(path):
    """{key: result} of earlier runs."""
    results = {}
    if path.exists():
        for line in path.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError, KeyError):     # a line cut by an interruption
                result = json.loads(line)
                if result["verdict"] != "failed":               # those are tried again
                    results[result["key"]] = result
    return results


def spread(work, runs, workers=None, scheduler=None):
    """Yield work(run) for each of *runs*, as they come.

    work       function of a module that the workers can import by its name
    workers    processes; 0: all in this one; None: one a core
    scheduler  address of a Dask cluster
    """
    if workers == 0:
        for run in runs:
            yield work(run)
        return
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    import dask
    from dask.distributed import Client, LocalCluster, as_completed
    dask.config.set({"distributed.admin.log-format": "%(message)s",
                     "distributed.worker.daemon": False,
                     "distributed.worker.memory.terminate": False})
    with contextlib.ExitStack() as stack:
        if scheduler:
            client = stack.enter_context(Client(scheduler))
        else:
            cluster = stack.enter_context(LocalCluster(
                n_workers=workers or os.cpu_count() or 2, threads_per_worker=1,
                processes=True, dashboard_address=":0", silence_logs=50))
            client = stack.enter_context(Client(cluster))
        futures = client.map(work, runs, pure=False, retries=1)
        for future in as_completed(futures):
            yield future.result()
            future.release()


def carry_out(title, work, runs, options, first=None):
    """Results of all *runs*, made now or kept, in the order of the runs.

    title    for the progress bar
    work     function of a module that the workers can import by its name
    runs     dicts with id, board and key
    options  workers, scheduler, fresh (run again what is done), results (a path)
    first    None | key for sorting: what takes longest comes first, so that no core idles at
             the end
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, \
        TimeElapsedColumn, TimeRemainingColumn
    kept = {} if options.fresh else read_results(options.results)
    left = [run for run in runs if run["key"] not in kept]
    console = Console(stderr=True)
    console.print(f"{len(runs)} runs, {len(runs) - len(left)} of them done before")
    if left:
        prepare({run["board"] for run in left})
        if first:
            left.sort(key=first)
        options.results.parent.mkdir(parents=True, exist_ok=True)
        bad = 0
        with open(options.results, "a", encoding="utf-8") as file, Progress(
                TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                TimeElapsedColumn(), TimeRemainingColumn(), console=console) as progress:
            bar = progress.add_task(title, total=len(runs), completed=len(runs) - len(left))
            for result in spread(work, left, options.workers, options.scheduler):
                kept[result["key"]] = result
                file.write(json.dumps(result) + "\n")
                file.flush()
                if result["verdict"] != "ok":
                    bad += 1
                    progress.console.print(f"{result['verdict']:7} {result['id']} "
                                           f"({result['board']}): {'; '.join(result['notes'])}",
                                           markup=False, highlight=False)
                progress.update(bar, advance=1, description=f"{title}, {bad} bad")
    return [kept[run["key"]] for run in runs]


def add_options(parser, results):
    """The command-line options that carry_out() takes."""
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster")
    parser.add_argument("--workers", type=int, help="processes; 0: all in this one")
    parser.add_argument("--fresh", action="store_true", help="run again what is done")
    parser.add_argument("--results", type=pathlib.Path, default=results,
                        help="what is done is kept here")
