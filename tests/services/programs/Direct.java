// Direct buffers, which the virtual machine takes from malloc: made, filled and dropped by four threads; zlib, whose
// state is malloc's as well; files read through channels. Each line of input is a step, each answer must always be the same.
import java.io.*;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.*;
import java.security.MessageDigest;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

public class Direct {
    static String hash(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }

    static long buffers(int seed) {
        Random random = new Random(seed);
        ByteBuffer[] kept = new ByteBuffer[64];
        long sum = 0;
        for (int i = 0; i < 3000; i++) {
            int size = i % 50 == 0 ? 1 << 20 : 16 + random.nextInt(40000), at = random.nextInt(kept.length);
            ByteBuffer buffer = ByteBuffer.allocateDirect(size);
            for (int j = 0; j + 8 <= size; j += 512)
                buffer.putLong(j, random.nextLong());
            if (kept[at] != null)
                for (int j = 0; j + 8 <= kept[at].capacity(); j += 4096)
                    sum = sum * 31 + kept[at].getLong(j);
            kept[at] = buffer;
        }
        return sum;
    }

    static String deflate(int seed) throws Exception {
        Random random = new Random(seed);
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        for (int i = 0; i < 300; i++) {
            byte[] data = new byte[5000 + random.nextInt(20000)], out = new byte[40000], back = new byte[data.length];
            for (int j = 0; j < data.length; j++)
                data[j] = (byte) (random.nextInt(16) * (j % 7));
            Deflater deflater = new Deflater(1 + i % 9);
            deflater.setInput(data);
            deflater.finish();
            int size = deflater.deflate(out);
            deflater.end();
            Inflater inflater = new Inflater();
            inflater.setInput(out, 0, size);
            if (inflater.inflate(back) != data.length || !Arrays.equals(data, back))
                throw new IllegalStateException("what zlib packed it does not unpack");
            inflater.end();
            all.write(back);
        }
        return hash(all.toByteArray());
    }

    static String parallel(Callable<?>... tasks) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(tasks.length);
        StringBuilder answers = new StringBuilder();
        for (Future<?> future : threads.invokeAll(Arrays.asList((Callable<Object>[]) (Callable[]) tasks)))
            answers.append(future.get()).append(' ');
        threads.shutdown();
        threads.awaitTermination(1, TimeUnit.MINUTES);
        return answers.toString();
    }

    static String files() throws Exception {
        Path path = Path.of("direct.data");
        ByteBuffer data = ByteBuffer.allocateDirect(8 << 20);
        while (data.hasRemaining())
            data.putInt(data.position() * 7919);
        data.flip();
        try (FileChannel out = FileChannel.open(path, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            while (data.hasRemaining())
                out.write(data);
        }
        return hash(Files.readAllBytes(path));
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String step; (step = in.readLine()) != null;)
            System.out.println(switch (step) {
                case "buffers" -> parallel(() -> buffers(1), () -> buffers(2), () -> buffers(3), () -> buffers(4));
                case "deflate" -> parallel(() -> deflate(1), () -> deflate(2));
                case "files" -> files();
                default -> {
                    for (int i = 0; i < 3; i++) {
                        System.gc(); // the memory of direct buffers goes when they are found to be dead
                        Thread.sleep(100);
                    }
                    yield "collected";
                }
            });
    }
}
