"""Tables of Google Benchmark's JSON: report.py RESULTS [--write PAGE.md PICTURE.png]

Cases are named group/case/type/size/threads:n. Prints the tables, or writes them with a picture.
"""
import collections
import json
import os
import platform
import sys


def machine():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            names = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
        return f"{names[0]}, {len(names)} cores"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def medians(results):
    """{(group, type, threads): {case: {size: G elements/s}}}; of several rooflines the best counts."""
    table = collections.defaultdict(lambda: collections.defaultdict(dict))
    for run in sorted(results["benchmarks"], key=lambda run: run["family_index"]):
        if run.get("aggregate_name") != "median":
            continue
        name = run["run_name"].removesuffix("/real_time")
        group_and_case, kind, size, threads = name.rsplit("/", 3)
        group, case = group_and_case.split("/", 1)
        speeds = table[group, kind, int(threads.removeprefix("threads:"))]["roofline" if case.startswith("roofline") else case]
        speeds[int(size)] = max(speeds.get(int(size), 0), run["items_per_second"] / 1e9)
    return table


def row(cells):
    return "| " + " | ".join(cells) + " |"


def with_ratio(speed, to):
    if speed is None:
        return ""
    digits = 0 if speed >= 100 else 1 if speed >= 10 else 2 if speed >= 0.1 else 3
    return f"{speed:.{digits}f}" + (f" ({speed / to:.2f})" if to else "")


def tables(table):
    sizes = sorted({size for cases in table.values() for speeds in cases.values() for size in speeds})
    lines = []

    def header(first):
        lines.extend(["", row([first] + [f"{size:,}" for size in sizes]), "|---" * (len(sizes) + 1) + "|"])

    for (group, kind, threads), cases in table.items():
        if threads != 1:
            continue
        header(f"**{group}**, {kind}")
        roofline = cases.get("roofline", {})
        for case, speeds in cases.items():
            to = roofline if case != "roofline" else {}
            lines.append(row([case] + [with_ratio(speeds.get(size), to.get(size)) for size in sizes]))

    if any(threads == 2 for _, _, threads in table):
        lines.extend(["", "Two threads, in brackets the ratio to one:"])
        header("")
        for (group, kind, threads), cases in table.items():
            for case, speeds in cases.items():
                if threads == 2 and case in ("roofline", "library"):
                    one = table[group, kind, 1][case]
                    cells = [with_ratio(speeds.get(size), one.get(size)) for size in sizes]
                    lines.append(row([f"{group}, {case}, {kind}"] + cells))

    peers = {key: cases["libtorch"] for key, cases in table.items() if "libtorch" in cases}
    if peers:
        lines.extend(["", "The library's speed as a multiple of libtorch's:"])
        header("")
        for (group, kind, threads), speeds in peers.items():
            own = table[group, kind, threads]["library"]
            lines.append(row([group] + [f"{own[size] / speeds[size]:.1f}" if size in speeds else "" for size in sizes]))
    return lines


def draw(table, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    groups = [group for group, kind, threads in table if kind == "float" and threads == 1]
    figure, axes = pyplot.subplots(2, (len(groups) + 1) // 2, figsize=(13, 7), sharex=True, squeeze=False)
    colors = {"roofline": "0.6", "library": "C3", "Eigen": "C0", "plain loop": "C2", "std::normal_distribution": "C2", "libtorch": "C1"}
    handles = {}
    for axis, group in zip(axes.flat, groups):
        for case, speeds in table[group, "float", 1].items():
            if case in colors:
                width = 2.5 if case == "library" else 1.5
                handles[case], = axis.loglog(list(speeds), list(speeds.values()), "o-", color=colors[case], lw=width, ms=4)
        axis.set_title(group)
        axis.grid(alpha=0.3)
    for axis in axes.flat[len(groups):]:
        axis.axis("off")
    for axis in axes[-1]:
        axis.set_xlabel("elements")
    for axis in axes[:, 0]:
        axis.set_ylabel("G elements/s")
    figure.legend(handles.values(), handles.keys(), loc="lower right", fontsize=11)
    figure.suptitle("Single precision, one thread: medians, higher is better")
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main():
    if len(sys.argv) not in (2, 5) or (len(sys.argv) == 5 and sys.argv[2] != "--write"):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        results = json.load(file)
    table = medians(results)
    lines = tables(table)
    if len(sys.argv) == 2:
        print("\n".join(lines))
        return
    page, picture = sys.argv[3:]
    context = results["context"]
    facts = ", ".join(f"{context[key]}" for key in ("compiler", "flags", "instruction set") if key in context)
    intro = [
        "# Benchmarks",
        "",
        "Written by `benchmarks/run.sh" + (" --libtorch" if any("libtorch" in cases for cases in table.values()) else "") + "`. What the figures mean: [performance](performance.md).",
        "",
        f"{machine()}; {facts}; {context['date'][:10]}.",
        "",
        "G elements/s by number of elements, medians of five repetitions; in brackets the ratio to the roofline: the same arrays read and written by the",
        "best loop, nothing else. \"Library\" is what a user calls, with x̂0 predicted from ε and clipped.",
        "",
        f"![Speeds by size](images/{os.path.basename(picture)})",
    ]
    draw(table, picture)
    with open(page + ".new", "w", encoding="utf-8") as file:
        file.write("\n".join(intro + lines) + "\n")
    os.replace(page + ".new", page)


main()
