"""The fake MTN as a command: options come in as they were typed, its own reader checks them. Loads nothing of the worker."""

from momo_worker.simulator import server as simulator_server


def simulator(*, port: int, data: str, mode: str, accounts: str, seed: int, chaos: str, settings: str) -> int:
    """Run the fake MTN; it checks its own options and says what is wrong with them."""
    arguments = ["--port", str(port), "--data", data, "--mode", mode, "--seed", str(seed)]
    arguments += ["--chaos", chaos, "--settings", settings]
    arguments += ["--accounts", accounts] if accounts else []
    return simulator_server.main(arguments)
