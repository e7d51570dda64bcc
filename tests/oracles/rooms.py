"""A naive view of rooms: one ray, one point, one outline at a time, in formulas of its own."""

import math

import numpy as np


def rotation(angle, axis):
    """Rodrigues' formula."""
    x, y, z = axis
    K = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * K + (1 - math.cos(angle)) * K @ K


def pixel_ray(camera, row, column, size):
    """The ray through a pixel's centre, one metre along the axis: turned from looking along x."""
    focal = size / 2 / math.tan(camera.field_of_view / 2)
    ray = np.array([1.0, (size / 2 - column - 0.5) / focal, (size / 2 - row - 0.5) / focal])
    return rotation(camera.yaw, (0, 0, 1)) @ rotation(-camera.pitch, (0, 1, 0)) @ ray


def hit_planes(origin, ray, half):
    """Every crossing of the six face planes of a box that lies on the box."""
    hits = []
    for axis in range(3):
        for side in (-half[axis], half[axis]):
            if ray[axis] != 0:
                t = (side - origin[axis]) / ray[axis]
                point = origin + t * ray
                if all(abs(point[k]) <= half[k] + 1e-12 for k in range(3) if k != axis):
                    hits.append((t, np.eye(3)[axis] * np.sign(side)))
    return hits


def hit_sphere(origin, ray, half):
    """By the foot of the perpendicular from the centre."""
    unit = ray / np.linalg.norm(ray)
    foot = origin - (origin @ unit) * unit
    if np.linalg.norm(foot) > half[0]:
        return []
    chord = math.sqrt(half[0] ** 2 - foot @ foot)
    ts = [(-(origin @ unit) + sign * chord) / np.linalg.norm(ray) for sign in (-1, 1)]
    return [(t, (origin + t * ray) / half[0]) for t in ts]


def hit_cylinder(origin, ray, half):
    hits = []
    roots = np.roots(
        [ray[:2] @ ray[:2], 2 * origin[:2] @ ray[:2], origin[:2] @ origin[:2] - half[0] ** 2]
    )
    for t in roots[np.isreal(roots)].real:
        point = origin + t * ray
        if abs(point[2]) <= half[2]:
            hits.append((t, np.array([point[0], point[1], 0]) / half[0]))
    for side in (-half[2], half[2]):
        t = (side - origin[2]) / ray[2]
        if np.hypot(*(origin + t * ray)[:2]) <= half[0]:
            hits.append((t, np.array([0, 0, np.sign(side)])))
    return hits


HITS = {"box": hit_planes, "sphere": hit_sphere, "cylinder": hit_cylinder}


def trace(world, origin, ray):
    """Return t, instance and outward normal of the first hit."""
    middle = np.array(world.extent) / 2
    t, normal = min(
        (hit for hit in hit_planes(origin - middle, ray, middle) if hit[0] > 0),
        key=lambda hit: hit[0],
    )
    best = (t, 0, -normal)
    for number, solid in enumerate(world.solids, start=1):
        turn = rotation(solid.yaw, (0, 0, 1))
        for t, normal in HITS[solid.shape](
            turn.T @ (origin - np.array(solid.centre)), turn.T @ ray, solid.half
        ):
            if 0 < t < best[0]:
                best = (t, number, turn @ normal)
    return best


def surface_distance(solid, point):
    """Distance of a point from a solid's surface (signed-distance formulas)."""
    x, y, z = rotation(solid.yaw, (0, 0, 1)).T @ (point - np.array(solid.centre))
    if solid.shape == "sphere":
        return abs(math.hypot(x, y, z) - solid.half[0])
    if solid.shape == "cylinder":
        q = np.array([math.hypot(x, y) - solid.half[0], abs(z) - solid.half[2]])
    else:
        q = np.abs([x, y, z]) - np.array(solid.half)
    return abs(np.linalg.norm(np.maximum(q, 0)) + min(q.max(), 0))


def outline(solid, number=720):
    """Points around an object's footprint."""
    if solid.shape == "box":
        a, b = solid.half[:2]
        s = np.linspace(-1, 1, number // 4)
        one = np.ones_like(s)
        xs, ys = (
            np.concatenate((a * s, a * s, a * one, -a * one)),
            np.concatenate((b * one, -b * one, b * s, b * s)),
        )
    else:
        angle = np.linspace(0, 2 * math.pi, number)
        xs, ys = solid.half[0] * np.cos(angle), solid.half[0] * np.sin(angle)
    around = rotation(solid.yaw, (0, 0, 1))[:2, :2] @ np.stack((xs, ys))
    return around.T + np.array(solid.centre[:2])


def surface_inside(solid, place):
    """Whether a floor point lies under an object (under a sphere's overhang, say)."""
    x, y = rotation(solid.yaw, (0, 0, 1))[:2, :2].T @ (np.array(place) - solid.centre[:2])
    if solid.shape == "box":
        return abs(x) < solid.half[0] and abs(y) < solid.half[1]
    return math.hypot(x, y) < solid.half[0]
