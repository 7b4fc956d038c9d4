import java.io.BufferedWriter;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.LongAdder;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;

/**
 * The word count as a user of Kafka Streams writes it: RocksDB, exactly_once_v2, commits each second, two threads, a cache.
 * Arguments: BROKERS TOPIC keyed|repartition RECORDS COMMIT_MS WARM_RECORDS STATE_DIR TOTALS_FILE.
 *
 * <p>Keyed: the topic is partitioned by its key, which is counted. Repartition: the value is counted, through a topic of
 * Kafka Streams' own. It stops when the counts add up to RECORDS, prints what the other subjects print, from the first record
 * on, and writes all counts. Its own stop-watch polls a counter and costs next to nothing.
 */
public final class WordCount {
  private WordCount() {}

  public static void main(String[] args) throws Exception {
    String brokers = args[0];
    String topic = args[1];
    boolean keyed = args[2].equals("keyed");
    long records = Long.parseLong(args[3]);
    long warm = Long.parseLong(args[5]);

    Properties p = new Properties();
    p.put(StreamsConfig.APPLICATION_ID_CONFIG, "words-" + args[2] + "-" + System.nanoTime());
    p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
    p.put(StreamsConfig.STATE_DIR_CONFIG, args[6]);
    p.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, args[4]);
    p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, "2");
    p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, Long.toString(64L << 20));
    p.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), "10000");
    p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), Integer.toString(8 << 20));
    p.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
    p.put(StreamsConfig.producerPrefix(ProducerConfig.LINGER_MS_CONFIG), "50");
    p.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), Integer.toString(1 << 20));

    // Counted records: the sum of all counts, because each update adds one.
    LongAdder counted = new LongAdder();
    StreamsBuilder builder = new StreamsBuilder();
    KStream<Bytes, Bytes> input = builder.stream(topic, Consumed.with(Serdes.Bytes(), Serdes.Bytes()));
    KGroupedStream<Bytes, Bytes> grouped =
        keyed
            ? input.groupByKey(Grouped.with(Serdes.Bytes(), Serdes.Bytes()))
            : input.groupBy((key, word) -> word, Grouped.with(Serdes.Bytes(), Serdes.Bytes()));
    grouped.aggregate(
        () -> 0L,
        (word, value, count) -> {
          counted.increment();
          return count + 1;
        },
        Materialized.<Bytes, Long, KeyValueStore<Bytes, byte[]>>as("counts")
            .withKeySerde(Serdes.Bytes())
            .withValueSerde(Serdes.Long()));

    AtomicBoolean failed = new AtomicBoolean();
    try (KafkaStreams streams = new KafkaStreams(builder.build(), p)) {
      streams.setUncaughtExceptionHandler(
          e -> {
            e.printStackTrace();
            failed.set(true);
            return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse
                .SHUTDOWN_CLIENT;
          });
      streams.start();
      long start = 0;
      long cpuStart = 0;
      String mark = "";
      for (long n = 0; n < records; n = counted.sum()) {
        if (failed.get()) {
          System.exit(1);
        }
        if (n > 0 && start == 0) {
          start = System.nanoTime();
          cpuStart = cpu();
        }
        if (mark.isEmpty() && n >= warm && start != 0) {
          mark = "warm_records=" + n + " " + times("warm_", start, cpuStart);
        }
        Thread.sleep(1);
      }
      // All is processed; what the last commit costs is not awaited, in favour of Kafka Streams.
      System.out.println("result records=" + records + " " + mark + " " + times("", start, cpuStart) + " peak_mb=" + peak());
      System.out.flush();
      writeTotals(streams, Path.of(args[7]));
    }
  }

  private static String times(String prefix, long start, long cpuStart) {
    return prefix + "wall=" + (System.nanoTime() - start) / 1e9 + " " + prefix + "cpu=" + (cpu() - cpuStart) / 1e9;
  }

  private static long peak() throws Exception {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024;
      }
    }
    return 0;
  }

  private static long cpu() {
    return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
  }

  private static void writeTotals(KafkaStreams streams, Path file) throws Exception {
    var store = streams.store(StoreQueryParameters.fromNameAndType("counts", QueryableStoreTypes.<Bytes, Long>keyValueStore()));
    try (BufferedWriter out = Files.newBufferedWriter(file, StandardCharsets.US_ASCII);
        var all = store.all()) {
      while (all.hasNext()) {
        KeyValue<Bytes, Long> row = all.next();
        out.write(new String(row.key.get(), StandardCharsets.US_ASCII) + "\t" + row.value + "\n");
      }
    }
  }
}
