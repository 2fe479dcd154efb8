"""Draws the errors that the program prints, and prints them as a table: draw.py ERRORS.csv PICTURE.png"""
import csv
import math
import sys

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

# Okabe and Ito's colours: distinct for colour-blind readers.
COLORS = {
    "one evaluation, no memory": "#D55E00",
    "several evaluations per step": "#0072B2",
    "multistep in σ/α": "#CC79A7",
    "multistep in λ": "#009E73",
    "Langevin, resampling": "#000000",
    "for distilled networks": "#B58900",
}
STYLES = ["--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))]
TITLES = {
    "deterministic": "Deterministic: rms distance to the probability flow\ndata: a mixture of two normals",
    "stochastic": "Stochastic: Wasserstein-2 distance to the data\ndata: normal elements of deviations 1 … 1/64",
}
# Where most readers will start.
BOLD = {"ddim, euler", "heun", "dpm_solver_multistep 2", "unipc 3", "ddpm, ddim η=1", "dpmpp_2m_sde", "sa_solver"}
EVALUATIONS = 4, 128
ERRORS = 3e-6, 3
GUIDE = 0.6  # where guides begin


def read(path):
    """{panel: {(family, sampler, order): [(evaluations, error)]}}"""
    panels = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            curve = panels.setdefault(row["panel"], {}).setdefault((row["family"], row["sampler"], row["order"]), [])
            if EVALUATIONS[0] <= float(row["evaluations"]) <= EVALUATIONS[1]:
                curve.append((float(row["evaluations"]), float(row["error"])))
    return panels


def table(panels):
    columns = (8, 16, 32, 64, 128)
    for panel, curves in panels.items():
        yield f"| {panel} | order | " + " | ".join(f"{n}" for n in columns) + " |"
        yield "|---" * (len(columns) + 2) + "|"
        for (_, sampler, order), points in curves.items():
            cells = [[f"{error:.1e}" for evaluations, error in points if 0.85 * n < evaluations <= n] for n in columns]
            yield f"| {sampler} | {order} | " + " | ".join(cell[-1] if cell else "" for cell in cells) + " |"
        yield ""


def spread(wanted, gap):
    """Positions near those wanted, ascending, at least a gap apart: neighbours that collide share their mean."""
    clusters = []  # [sum of positions, count]
    for position in wanted:
        clusters.append([position, 1])
        while len(clusters) > 1:
            (low, n), (high, m) = clusters[-2:]
            if high / m - low / n >= (n + m) / 2 * gap:
                break
            clusters[-2:] = [[low + high, n + m]]
    return [total / n + (i - (n - 1) / 2) * gap for total, n in clusters for i in range(n)]


def guide(axis, order):
    first, last = EVALUATIONS
    axis.loglog((first, last), [GUIDE * (x / first) ** -order for x in (first, last)], color="0.85", linewidth=5, zorder=0)
    x = min(last * 0.9, first * (GUIDE / ERRORS[0] / 1.5) ** (1 / order))
    axis.text(x, GUIDE * (x / first) ** -order / 1.25, f"order {order}", color="0.4", fontsize=9, ha="right", va="top")


def draw(axis, curves):
    for order in (1, 2, 3):
        guide(axis, order)
    used = dict.fromkeys(COLORS, 0)
    ends = []
    for (family, sampler, _), points in curves.items():
        bold = sampler in BOLD
        style = "-" if bold else STYLES[used[family] % len(STYLES)]
        used[family] += not bold
        axis.loglog(*zip(*points), color=COLORS[family], linestyle=style, linewidth=2.8 if bold else 1.1,
                    marker="o", markersize=4 if bold else 2, zorder=3 if bold else 2)
        ends.append((math.log10(max(points[-1][1], ERRORS[0])), points[-1][0], sampler, COLORS[family]))
    ends.sort()
    places = spread([end[0] for end in ends], math.log10(ERRORS[1] / ERRORS[0]) / 40)
    for (error, evaluations, sampler, color), place in zip(ends, places):
        axis.annotate(sampler, (evaluations, 10**error), (175, 10**place), color=color, fontsize=9, va="center",
                      weight="bold" if sampler in BOLD else "normal",
                      annotation_clip=False,
                      arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2,
                                  "relpos": (0, 0.5)})
    axis.set_ylim(ERRORS)
    axis.set_xlim(EVALUATIONS[0] * 0.92, EVALUATIONS[1] * 1.08)
    ticks = [4, 8, 16, 32, 64, 128]
    axis.set_xticks(ticks, ticks)
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.set_xlabel("evaluations of the network")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    panels = read(sys.argv[1])
    figure, axes = pyplot.subplots(1, 2, figsize=(15.5, 8.4))
    for axis, (panel, curves) in zip(axes, panels.items()):
        draw(axis, curves)
        axis.set_title(TITLES[panel], fontsize=12)
    axes[0].set_ylabel("error")
    handles = [pyplot.Line2D([], [], color=color, linewidth=3) for color in COLORS.values()]
    figure.legend(handles, COLORS, loc="lower center", ncol=len(COLORS), frameon=False, fontsize=10)
    figure.subplots_adjust(left=0.045, right=0.872, bottom=0.105, top=0.93, wspace=0.49)
    figure.savefig(sys.argv[2], dpi=80, pil_kwargs={"optimize": True})
    print("\n".join(table(panels)))


main()
