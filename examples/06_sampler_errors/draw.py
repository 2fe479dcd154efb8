"""Draws the errors that the program prints: draw.py ERRORS.csv PICTURE.png"""
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
    "for distilled networks": "#E69F00",
}
STYLES = ["-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))]
TITLES = {
    "deterministic": "Deterministic: distance to the exact probability flow",
    "stochastic": "Stochastic: distance to the distribution of the data",
}
LARGEST = 140  # evaluations


def read(path):
    """{panel: {(family, sampler): [(evaluations, error)]}}"""
    panels = {}
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            point = float(row["evaluations"]), float(row["error"])
            if point[0] <= LARGEST:
                panels.setdefault(row["panel"], {}).setdefault((row["family"], row["sampler"]), []).append(point)
    return panels


def spread(wanted, gap):
    """Positions of labels near those wanted, ascending, at least a gap apart: clusters around their means."""
    clusters = []  # of (sum of wanted - offset, count)
    for position in wanted:
        clusters.append([position, 1])
        while len(clusters) > 1:
            (low, n), (high, m) = clusters[-2:]
            if low / n + (n - 1) / 2 * gap + gap <= high / m - (m - 1) / 2 * gap:
                break
            clusters[-2:] = [[low + high, n + m]]
    return [total / n + (i - (n - 1) / 2) * gap for total, n in clusters for i in range(n)]


def draw(axis, curves, low, high):
    used = {}
    ends = []
    for (family, sampler), points in curves.items():
        style = STYLES[used.setdefault(family, 0) % len(STYLES)]
        used[family] += 1
        axis.loglog(*zip(*points), color=COLORS[family], linestyle=style, linewidth=1.5, marker="o", markersize=2.5)
        ends.append((math.log10(max(points[-1][1], low)), points[-1][0], sampler, COLORS[family]))
    ends.sort()
    height = math.log10(high / low)
    places = spread([end[0] for end in ends], height / 38)
    for (error, evaluations, sampler, color), place in zip(ends, places):
        axis.annotate(sampler, (evaluations, 10**error), (165, 10**place), color=color, fontsize=9, va="center",
                      annotation_clip=False,
                      arrowprops={"arrowstyle": "-", "color": color, "linewidth": 0.6, "shrinkA": 1, "shrinkB": 2})
    for order in (1, 2, 3):
        start = 4 * (low * 3) ** 0 
        xs = (4, 128)
        ys = [GUIDE * (x / 4) ** -order for x in xs]
        axis.loglog(xs, ys, color="0.75", linewidth=4, alpha=0.5, zorder=0)
        x = 4 * min(32, (GUIDE / low / 2.2) ** (1 / order))
        axis.text(x * 0.93, GUIDE * (x / 4) ** -order, f"order {order}", color="0.45", fontsize=9, ha="right", va="top")
    axis.set_ylim(low, high)
    axis.set_xlim(3.6, 150)
    ticks = [4, 8, 16, 32, 64, 128]
    axis.set_xticks(ticks, ticks)
    axis.minorticks_off()
    axis.grid(alpha=0.25)
    axis.set_xlabel("evaluations of the network")


GUIDE = 0.5


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    panels = read(sys.argv[1])
    figure, axes = pyplot.subplots(1, 2, figsize=(14.5, 8.2), sharey=True)
    for axis, (panel, curves) in zip(axes, panels.items()):
        draw(axis, curves, 3e-6, 3)
        axis.set_title(TITLES[panel], fontsize=12)
        axis.tick_params(labelleft=True)
    axes[0].set_ylabel("error")
    families = [family for family in COLORS if any(family == f for curves in panels.values() for f, _ in curves)]
    handles = [pyplot.Line2D([], [], color=COLORS[family], linewidth=3) for family in families]
    figure.legend(handles, families, loc="lower center", ncol=len(families), frameon=False, fontsize=10)
    figure.tight_layout(rect=(0, 0.04, 0.87, 1), w_pad=15)
    figure.savefig(sys.argv[2], dpi=80)


main()
