# Evaluates a network of the program `mnist` in PyTorch and writes what went in and came out:
#   python3 read_weights.py weights/mnist.safetensors points.safetensors
#   mnist predict --weights weights/mnist.safetensors --inputs points.safetensors     # compares
import json, math, struct, sys, torch
import torch.nn.functional as F

def read(path):
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    meta = header.pop("__metadata__", {})
    load = lambda a, b: torch.frombuffer(bytearray(data[start + a:start + b]), dtype=torch.float32)
    return {k: load(*v["data_offsets"]).reshape(v["shape"]) for k, v in header.items()}, json.loads(meta["config"])

def write(path, tensors):
    parts = {k: struct.pack(f"<{v.numel()}f", *v.flatten().tolist()) for k, v in tensors.items()}
    ends = [sum(map(len, list(parts.values())[:i])) for i in range(len(parts) + 1)]
    header = json.dumps({k: {"dtype": "F32", "shape": list(tensors[k].shape), "data_offsets": ends[i:i + 2]}
                         for i, k in enumerate(parts)}).encode()
    open(path, "wb").write(len(header).to_bytes(8, "little") + header + b"".join(parts.values()))

def unet(w, config, x, t, label):
    args = lambda name: (w[name + ".weight"], w[name + ".bias"])
    conv = lambda h, name, pad=1, **k: F.conv2d(h, *args(name), padding=pad, **k)
    norm = lambda h, name: F.group_norm(h, math.gcd(config["groups"], h.shape[1]), *args(name))
    count = lambda name: next(i for i in range(99) if not any(k.startswith(f"{name}.{i}.") for k in w))

    def res(h, name):
        y = conv(F.silu(norm(h, name + ".norm1")), name + ".conv1") + F.linear(e, *args(name + ".emb"))[..., None, None]
        y = conv(F.silu(norm(y, name + ".norm2")), name + ".conv2")
        return y + (conv(h, name + ".skip", 0) if name + ".skip.weight" in w else h)

    def attn(h, name):
        if name + ".norm.weight" not in w: return h
        d = h.shape[1] // config["heads"]
        q, k, v = conv(norm(h, name + ".norm"), name + ".qkv", 0).reshape(len(h), 3, config["heads"], d, -1).unbind(1)
        a = (q.transpose(2, 3) @ k / math.sqrt(d)).softmax(-1)
        return h + conv((v @ a.transpose(2, 3)).reshape(h.shape), name + ".proj", 0)

    half = w["stem.weight"].shape[0] // 2
    f = t[:, None] * torch.exp(-math.log(10000) * torch.arange(half) / (half - 1))
    e = F.linear(torch.cat([f.sin(), f.cos()], 1).to(x), *args("time.fc1"))
    e = F.linear(F.silu(e), *args("time.fc2"))
    if "class_emb.weight" in w: e = e + w["class_emb.weight"][label]
    e = F.silu(e)

    h = conv(x, "stem")
    ddpm = config["skips"] == "ddpm"
    skips = [h] if ddpm else []
    for i in range(count("down")):
        for j in range(count(f"down.{i}.res")):
            h = attn(res(h, f"down.{i}.res.{j}"), f"down.{i}.attn.{j}")
            skips.append(h)
        if f"down.{i}.down.weight" in w:
            h = conv(h, f"down.{i}.down", stride=2)
            if ddpm: skips.append(h)
    h = res(attn(res(h, "mid.res1"), "mid.attn"), "mid.res2")
    for i in reversed(range(count("up"))):
        for j in range(count(f"up.{i}.res")):
            h = attn(res(torch.cat([h, skips.pop()], 1), f"up.{i}.res.{j}"), f"up.{i}.attn.{j}")
        if f"up.{i}.up.weight" in w: h = F.conv_transpose2d(h, *args(f"up.{i}.up"), stride=2, padding=1)
        if f"up.{i}.up.conv.weight" in w: h = conv(F.interpolate(h, scale_factor=2), f"up.{i}.up.conv")
    return conv(F.silu(norm(h, "out.norm")), "out.conv")

if __name__ == "__main__":
    weights, config = read(sys.argv[1])
    x, t, label = torch.randn(16, 1, 28, 28), torch.arange(16) * 66.0, torch.arange(16) % (config["classes"] + 1)
    points = {"x": x, "t": t, "y": unet(weights, config, x, t, label)}
    write(sys.argv[2], points if config["classes"] == 0 else points | {"class": label})
