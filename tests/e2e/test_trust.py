# SPDX-License-Identifier: Apache-2.0
"""What can be checked of a summary: quotes with their places, and warnings for what the document does not say."""
import re

GERMAN = """Wartungsvertrag

Die Stadtwerke Musterheim GmbH beauftragt die Isarblick Prozessleittechnik AG mit der Wartung der Anlage.
Die jährliche Vergütung beträgt 38.400,00 EUR und ist in vier Raten zu zahlen.
Der Vertrag beginnt am 1. Mai 2022 und endet am 30. April 2026.
Die Haftung ist je Vertragsjahr auf 200.000 EUR begrenzt.
"""
ENGLISH = """Sponsorship Agreement

Tickets Online, Inc. pays Harbour Music, Inc. a fee of $1,250,000 for the sponsorship of its festival.
The agreement is made as of February 17, 1999 and ends on February 16, 2001.
Either party may end the agreement with ninety (90) days' notice to the other party.
A late payment bears interest of 1.5 % a month until it is paid in full.
"""
CHINESE = """房屋租赁合同

出租方杭州临江物业管理有限公司将房屋出租给承租方杭州云栖文档技术有限公司使用。
租赁期自2024年7月1日起至2027年6月30日止，共计三年。
第一年租金为每月人民币42,000元，押金为人民币84,000元。
任何一方提前解除合同的，应提前六十日书面通知对方。
"""
FAULTS = {"amounts": "amount", "dates": "date", "names": "name"}


def summary_of(precis, name):
    return precis.rows("select summary, key_points, warnings from precis.summaries where job_id = %s", name)[0]


def test_false_facts_become_warnings(precis):
    """An altered amount, year or name is told with its place; an honest summary of the same text has no warning."""
    jobs = {}
    for language, text in (("de", GERMAN), ("en", ENGLISH), ("zh", CHINESE)):
        jobs[f"{language}-honest"] = text
        for fault in FAULTS:
            if not (language == "zh" and fault == "names"):  # the simulator knows no Chinese names
                jobs[f"{language}-{fault}"] = f"{text}\n[[sim:false_{fault}]]\n"
    precis.send([precis.job(name, text) for name, text in jobs.items()])
    precis.start_worker()
    for name, job in precis.wait_final(jobs).items():
        assert job["state"] == "done", job
        row = summary_of(precis, name)
        fault = name.split("-")[1]
        if fault == "honest":
            assert row["warnings"] == [], (name, row)
            continue
        assert row["warnings"], (name, row)
        for warning in row["warnings"]:
            told = re.fullmatch(r'(\w+) "(.+)" \((summary|key point (\d+))\) is not in the document', warning)
            assert told and told[1] == FAULTS[fault], (name, warning)
            place = row["summary"] if told[3] == "summary" else row["key_points"][int(told[4]) - 1]
            assert told[2] in place, (name, warning, place)
            assert told[2] not in jobs[name], (name, warning)


def test_quotes_have_their_places(precis):
    precis.send([precis.job("quoted", ENGLISH), precis.job("misquoted", f"{ENGLISH}\n[[sim:false_quotes]]\n")])
    precis.start_worker()
    precis.wait_final(["quoted", "misquoted"])
    rows = precis.rows("select * from precis.citations where job_id = 'quoted' order by point")
    assert rows and all(row["found"] for row in rows)
    for row in rows:
        assert ENGLISH[row["char_start"]:row["char_end"]].split() == row["quote"].split()
    points = {row["point"] for row in precis.rows("select * from precis.citations where job_id = 'misquoted'")}
    assert points and not any(row["found"] for row in precis.rows(
        "select found from precis.citations where job_id = 'misquoted'"))
    assert set(summary_of(precis, "misquoted")["warnings"]) >= {
        f"the quote of key point {point} is not in the document" for point in points}
