"""A fault whose whole effect is a file: what injectors and workers do can be seen without a kernel that has netem.

Parameters: `path`; `fail` (`check`, `inject`, `effect`, `drift`, `extend`, `revert`); `hang` (`inject`).
The gate is a second file with the expiry in it, so that a test sees what a kernel's switch would have been told.
"""

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaos_agent.contract import FaultFailed, Observation, Parameters, Reverted, Settings, Undo, Verdict
from chaos_protocol.problems import Problem


@dataclass(frozen=True)
class PathClaim:
    """The file is ours alone."""

    path: str

    def overlaps(self, other: object) -> bool:
        return self == other

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class HeldMarker:
    undo: Undo

    @property
    def gate(self) -> Path:
        return Path(f"{self.undo['path']}.gate")

    def extend(self, expires_ns: int) -> None:
        if self.undo["fail"] == "extend":
            raise FaultFailed("the marker is not as we left it")
        self.gate.write_text(str(expires_ns))

    def observe(self) -> Observation:
        there = Path(str(self.undo["path"])).exists()
        drift = "" if there and self.undo["fail"] != "drift" else "the marker is gone"
        return Observation({"marks": int(there)}, effect=self.undo["fail"] != "effect", drift=drift)

    def close(self) -> None:
        self.gate.unlink(missing_ok=True)


@dataclass(frozen=True)
class Marker:
    path: str
    fail: str = ""
    hang: str = ""

    @classmethod
    def missing(cls) -> Sequence[Problem]:
        return ()

    @classmethod
    def read(cls, parameters: Parameters) -> Self:
        return cls(str(parameters["path"]), str(parameters.get("fail", "")), str(parameters.get("hang", "")))

    def check(self, injection_id: str, settings: Settings) -> Verdict:
        if self.fail == "check":
            return Verdict(problems=[Problem("path", self.path, "choose another")])
        undo: Mapping[str, object] = {"path": self.path, "fail": self.fail, "id": injection_id}
        return Verdict(notes=["makes a file"], facts={"path": self.path}, claims=[PathClaim(self.path)], undo=undo)

    def inject(self, undo: Undo, expires_ns: int) -> HeldMarker:
        Path(self.path).write_text(str(undo["id"]))
        if self.fail == "inject":
            raise FaultFailed("the second half could not be done")
        if self.hang == "inject":
            signal.pause()
        held = HeldMarker(undo)
        held.gate.write_text(str(expires_ns))
        return held

    @classmethod
    def revert(cls, undo: Undo) -> Reverted:
        if undo["fail"] == "revert" and not Path(f"{undo['path']}.allow").exists():
            return Reverted("still present", left=str(undo["path"]))
        found = Path(str(undo["path"])).exists()
        for suffix in ("", ".gate"):
            Path(f"{undo['path']}{suffix}").unlink(missing_ok=True)
        return Reverted("reverted" if found else "no trace")


FAULT = Marker
