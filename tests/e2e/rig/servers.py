# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL, Kafka and the model simulator, as a test handles them."""
import json
import re
import urllib.request

import psycopg2
import psycopg2.extras
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition, TIMESTAMP_NOT_AVAILABLE
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from .common import BUILD, PATIENCE, Process, clean_env, tool, wait_until


class Postgres:
    """A private cluster of tools/pg. stop() and start() keep data and port."""

    def __init__(self, folder):
        self.folder = folder
        self.dsn = None

    def start(self):
        self.dsn = tool("pg", "start", self.folder)

    def stop(self, mode="fast"):
        tool("pg", "stop", self.folder, "--mode", mode)

    def drop(self):
        tool("pg", "drop", self.folder)

    def dsn_of(self, database):
        return self.dsn.rsplit("/", 1)[0] + "/" + database

    def create_database(self, name):
        with self.connect("precis") as session:
            session.execute(f'create database "{name}"')
        return self.dsn_of(name)

    def connect(self, database="precis"):
        return Session(self.dsn_of(database))


class Session:
    """One autocommit connection; rows are dicts. Use as a context manager, or close it."""

    def __init__(self, dsn):
        self.connection = psycopg2.connect(dsn, connect_timeout=10)
        self.connection.autocommit = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.connection.close()

    def execute(self, sql, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)

    def rows(self, sql, *values):
        with self.connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute(sql, values or None)
            return [dict(row) for row in cursor.fetchall()]

    def value(self, sql, *values):
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchone()[0]


class Kafka:
    """A private broker of tools/kafka. stop(), kill() and start() keep data and address."""

    def __init__(self, folder):
        self.folder = folder
        self.address = None

    def start(self):
        self.address = tool("kafka", "start", self.folder)

    def stop(self):
        tool("kafka", "stop", self.folder)

    def kill(self):
        tool("kafka", "kill", self.folder)

    def pause(self):
        tool("kafka", "pause", self.folder)

    def resume(self):
        tool("kafka", "resume", self.folder)

    def drop(self):
        tool("kafka", "drop", self.folder)

    def _admin(self):
        return AdminClient({"bootstrap.servers": self.address})

    def create_topic(self, name, partitions=1, **config):
        """config as max_message_bytes=8388608."""
        settings = {key.replace("_", "."): str(value) for key, value in config.items()}
        new = NewTopic(name, num_partitions=partitions, replication_factor=1, config=settings)
        admin = self._admin()  # the future fails if its client goes first
        limits = {"operation_timeout": 30 * PATIENCE, "request_timeout": 60 * PATIENCE}
        self._ask(f"{name} to be made",
                  lambda: admin.create_topics([new], **limits)[name].result(60 * PATIENCE))
        # What the controller has made, the broker may not know yet.
        wait_until(f"{name} to be known", lambda: len(self.partitions(name)) == partitions, 60)

    def add_partitions(self, name, total):
        admin = self._admin()
        self._ask(f"{name} to have {total} partitions",
                  lambda: admin.create_partitions([NewPartitions(name, total)])[name].result(60 * PATIENCE))

    def delete_before(self, name, offset):
        """What retention does: nothing below the offset is left, in any partition."""
        admin = self._admin()
        places = [TopicPartition(name, number, offset) for number in self.partitions(name)]
        self._ask(f"the records of {name} to go",
                  lambda: [future.result(60 * PATIENCE) for future in admin.delete_records(places).values()])

    def delete_topic(self, name):
        admin = self._admin()
        admin.delete_topics([name], operation_timeout=30 * PATIENCE, request_timeout=60 * PATIENCE)[name].result(60 * PATIENCE)

    def answers(self, timeout=2):
        try:
            return bool(self._admin().list_topics(timeout=timeout * PATIENCE).brokers)
        except KafkaException:
            return False

    def produce(self, topic, messages):
        """messages: dicts with value and, if wanted, key, headers, partition. Returns when all are acknowledged;
        gives each its (partition, offset)."""
        producer = Producer({"bootstrap.servers": self.address, "acks": "all", "linger.ms": 5,
                             "message.max.bytes": 100_000_000, "message.timeout.ms": int(60000 * PATIENCE)})
        places = [None] * len(messages)
        problems = []

        def delivered(index):
            def done(error, message):
                if error:
                    problems.append(error)
                else:
                    places[index] = (message.partition(), message.offset())
            return done

        for index, message in enumerate(messages):
            # The local queue is bounded: serve it while it is full.
            while True:
                try:
                    producer.produce(topic, on_delivery=delivered(index), **message)
                    break
                except BufferError:
                    producer.poll(0.1)
        producer.flush(90 * PATIENCE)
        assert not problems, problems[0]
        assert None not in places, "not every message was acknowledged"
        return places

    @staticmethod
    def _ask(what, ask):
        """ask(), again while the broker says no: one that has just started knows its groups and leaders late."""
        def patiently():
            try:
                return [ask()]
            except KafkaException as problem:
                raise LookupError(problem) from problem

        return wait_until(what, patiently, 60)[0]

    def partitions(self, topic):
        def ask():
            found = self._admin().list_topics(topic, timeout=30 * PATIENCE).topics[topic]
            if found.error is not None:
                raise KafkaException(found.error)
            return sorted(found.partitions)

        return self._ask(f"the partitions of {topic}", ask)

    def _watermarks(self, consumer, topic):
        """partition -> (first offset, offset after the last message)"""
        def ask(number):
            place = TopicPartition(topic, number)
            return self._ask(f"the ends of {topic} {number}",
                             lambda: consumer.get_watermark_offsets(place, timeout=30 * PATIENCE))

        return {number: ask(number) for number in self.partitions(topic)}

    def _consumer(self, group="precis-test-reader"):
        return Consumer({"bootstrap.servers": self.address, "group.id": group, "enable.auto.commit": False,
                         "auto.offset.reset": "earliest"})

    def ends(self, topic):
        """partition -> the offset after its last message."""
        consumer = self._consumer()
        try:
            return {number: high for number, (_, high) in self._watermarks(consumer, topic).items()}
        finally:
            consumer.close()

    def committed(self, group, topic):
        """partition -> the group's committed offset; without those that have none."""
        consumer = self._consumer(group)
        places = [TopicPartition(topic, number) for number in self.partitions(topic)]
        try:
            answer = self._ask("the group's coordinator",
                               lambda: consumer.committed(places, timeout=30 * PATIENCE))
            return {place.partition: place.offset for place in answer if place.offset >= 0}
        finally:
            consumer.close()

    def read_all(self, topic):
        """Every message that is there now, as dicts: partition, offset, key, value, headers, timestamp."""
        consumer = self._consumer()
        try:
            ends = self._watermarks(consumer, topic)
            left = {number: high for number, (low, high) in ends.items() if high > low}
            consumer.assign([TopicPartition(topic, number, ends[number][0]) for number in left])
            messages = []

            def read_some():
                for message in consumer.consume(500, timeout=0.2):
                    assert message.error() is None, message.error()
                    messages.append(_plain(message))
                # Positions, not counts: offsets may have holes.
                for place in consumer.position([TopicPartition(topic, number) for number in left]):
                    if place.offset >= left[place.partition]:
                        del left[place.partition]
                return not left

            wait_until(f"all messages of {topic}", read_some, every=0)
            return sorted(messages, key=lambda message: (message["partition"], message["offset"]))
        finally:
            consumer.close()


def _plain(message):
    kind, stamp = message.timestamp()
    return {"partition": message.partition(), "offset": message.offset(), "key": message.key(),
            "value": message.value(), "headers": dict(message.headers() or []),
            "timestamp": None if kind == TIMESTAMP_NOT_AVAILABLE else stamp}


class ModelSim:
    """tools/modelsim with the given options; one a test, so that the bill is the test's own."""

    def __init__(self, folder, *options):
        self.folder = folder
        self.options = options
        self.process = None
        self.port = 0
        self.count = 0

    @staticmethod
    def program():
        return BUILD / "tools" / "modelsim" / "modelsim"

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self):
        """Again on the same port after kill(); the bill begins anew."""
        self.count += 1
        name = f"modelsim-{self.count}"
        argv = [self.program(), "--listen", f"127.0.0.1:{self.port}", *self.options]
        self.process = Process(name, argv, self.folder, clean_env())

        def port():
            assert self.process.running, self.process.log()
            found = re.search(r"listening on \S+:(\d+)", self.process.out())
            return found and int(found.group(1))

        self.port = wait_until("the model simulator to listen", port)

    def kill(self):
        if self.process:
            self.process.kill()

    def _ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/sim/{path}", data=data,
                                         headers={"content-type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30 * PATIENCE) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None

    def bill(self):
        """{"cost_usd": text, "models": […], "calls": [{"id", "model", "outcome", "billed", …}]}"""
        return self._ask("bill?calls=1")

    def stats(self):
        return self._ask("stats")

    def usage(self):
        """The provider's usage export, as text: a JSON object a line."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/sim/usage", timeout=30 * PATIENCE) as answer:
            return answer.read().decode()

    def script(self, **options):
        """Options at run time, as latency="2s", fault={"die_mid_body": 0.1}, next=["http_503"]."""
        return self._ask("script", options)

    def reset(self):
        return self._ask("reset", {})
