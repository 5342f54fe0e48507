package dev.weir.runtime;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

/**
 * What {@link WeirLibraryTest} runs in a JVM of its own: opens the library and prints what came of
 * it.
 */
final class LibraryProbe {
  private LibraryProbe() {}

  public static void main(String[] arguments) throws Exception {
    try {
      System.out.println("path " + pathSeenByManyThreads());
      System.out.println("version " + WeirLibrary.version());
      System.out.println("abi " + WeirLibrary.abiVersion());
      try (Device device = Device.open(DeviceOptions.cpu())) {
        System.out.println("matmul " + device.info().matmul());
      }
      try (Device device = Device.open(DeviceOptions.cuda(0))) {
        System.out.println("cuda " + device.info().matmul());
      } catch (DeviceUnavailableException | UnsupportedException e) {
        System.out.println("cuda " + e.getMessage());
      }
      mappedLibraries().forEach(library -> System.out.println("mapped " + library));
    } catch (NativeLibraryException e) {
      System.out.println("failed " + e.getMessage());
      try {
        WeirLibrary.load();
        System.out.println("loaded by a second attempt");
      } catch (NativeLibraryException again) {
        System.out.println("again " + again.getMessage());
      }
    }
  }

  private static Path pathSeenByManyThreads() throws Exception {
    int count = 8;
    CountDownLatch start = new CountDownLatch(1);
    try (ExecutorService threads = Executors.newFixedThreadPool(count)) {
      List<Future<Path>> paths =
          IntStream.range(0, count)
              .mapToObj(
                  i ->
                      threads.submit(
                          () -> {
                            start.await();
                            return WeirLibrary.path();
                          }))
              .toList();
      start.countDown();
      Path first = null;
      for (Future<Path> path : paths) {
        try {
          if (first != null && !first.equals(path.get())) {
            throw new AssertionError(first + " and " + path.get());
          }
          first = path.get();
        } catch (ExecutionException e) {
          if (e.getCause() instanceof NativeLibraryException failure) {
            throw failure;
          }
          throw e;
        }
      }
      return first;
    }
  }

  private static List<String> mappedLibraries() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .filter(
            line ->
                line.contains("/libdnnl")
                    || line.contains("/libgomp")
                    || line.contains("/libcublas"))
        .map(line -> line.substring(line.indexOf('/')))
        .distinct()
        .toList();
  }
}
