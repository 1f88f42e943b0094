# SPDX-License-Identifier: Apache-2.0
"""What is kept too long goes, while the fleet works; what was done and paid is known all the same."""
import decimal

from rig.common import wait_until

TEXT = "The supplier delivers {} machines by 1 March 2027; the buyer pays 40,000 dollars within thirty days. "


def test_old_documents_and_results_go(precis, tmp_path):
    folder = tmp_path / "letters"
    folder.mkdir()
    for n in range(5):
        (folder / f"{n}.txt").write_text(TEXT.format(n) * 60)
    precis.configure(retention={"documents": "1s", "traces": "1s", "results": "1s"})
    workers = [precis.start_worker(), precis.start_worker()]
    precis.run("submit", folder, "--batch", "b", "--store-all", "--wait", timeout=60)
    paid = decimal.Decimal(precis.modelsim.bill()["cost_usd"])

    def all_gone():
        left = precis.rows("select (select count(*) from precis_data.documents) as documents,"
                           " (select count(*) from precis_data.summaries) as results")[0]
        return left == {"documents": 0, "results": 0}

    wait_until("old documents and results to go", all_gone, timeout=50, every=0.5)
    wait_until("the metric", lambda: workers[0].metrics()['precis_retention_removed_rows{what="documents"}'] == 5, 20)
    batch = precis.rows("select done, cost_usd from precis.batches where batch = 'b'")[0]
    assert batch == {"done": 5, "cost_usd": paid}
    # The same again is known, and costs nothing.
    precis.run("submit", folder, "--batch", "b", "--store-all", "--wait", timeout=60)
    assert decimal.Decimal(precis.modelsim.bill()["cost_usd"]) == paid
    precis.check_bill()
