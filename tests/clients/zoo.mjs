// The JavaScript client: each step prints one line of JSON, which the test reads.
import * as k8s from '@kubernetes/client-node';

const namespace = process.argv[2];
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const say = (step, what) => console.log(JSON.stringify({ step, what }));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(condition, what) {
    for (let n = 0; n < 400; n++) {
        const value = await condition();
        if (value) return value;
        await sleep(50);
    }
    throw new Error(`${what} did not hold`);
}

async function refused(promise) {
    try {
        await promise;
    } catch (e) {
        return [e.code, (typeof e.body === 'string' ? JSON.parse(e.body) : e.body).reason];
    }
    return null;
}

async function typed() {
    say('version', (await config.makeApiClient(k8s.VersionApi).getCode()).gitVersion);
    const made = await apps.createNamespacedDeployment({
        namespace,
        body: {
            metadata: { name: 'web' },
            spec: {
                replicas: 1,
                selector: { matchLabels: { app: 'web' } },
                template: {
                    metadata: { labels: { app: 'web' } },
                    spec: { containers: [{ name: 'main', image: 'example/web:1' }] },
                },
            },
        },
    });
    say('created', [made.spec.strategy.type, made.metadata.creationTimestamp instanceof Date]);
    say('errors', [
        await refused(core.readNamespacedPod({ namespace, name: 'none' })),
        await refused(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'Bad_Name' } } })),
    ]);
}

async function patches() {
    const patch = (body, strategy, more = {}) =>
        apps.patchNamespacedDeployment(
            { namespace, name: 'web', body, ...more }, k8s.setHeaderOptions('Content-Type', strategy));
    const json = await patch([{ op: 'replace', path: '/spec/replicas', value: 2 }], k8s.PatchStrategy.JsonPatch);
    const merged = await patch({ metadata: { labels: { a: 'b' } } }, k8s.PatchStrategy.MergePatch);
    const strategic = await patch(
        { spec: { template: { spec: { containers: [{ name: 'side', image: 'example/side:1' }] } } } },
        k8s.PatchStrategy.StrategicMergePatch);
    const applied = await patch(
        { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { minReadySeconds: 0, paused: false } },
        k8s.PatchStrategy.ServerSideApply, { fieldManager: 'zoo', force: true });
    say('patches', [
        json.spec.replicas,
        merged.metadata.labels,
        strategic.spec.template.spec.containers.map((c) => c.name),
        applied.metadata.managedFields.some((m) => m.manager === 'zoo' && m.operation === 'Apply'),
    ]);
}

async function informer() {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const seen = [];
    const made = k8s.makeInformer(config, path, () => core.listNamespacedConfigMap({ namespace, labelSelector: 'of=it' }), 'of=it');
    for (const verb of ['add', 'update', 'delete']) {
        made.on(verb, (o) => seen.push([verb, o.metadata.name, o.data?.a ?? null]));
    }
    let stopping = false;
    made.on('error', (e) => stopping || say('informer-error', String(e)));
    const body = (name, a, of = 'it') => ({ metadata: { name, labels: { of } }, data: { a } });
    await core.createNamespacedConfigMap({ namespace, body: body('before', '1') });
    await made.start();
    await core.createNamespacedConfigMap({ namespace, body: body('one', '1') });
    await core.createNamespacedConfigMap({ namespace, body: body('not', '1', 'other') });
    await core.replaceNamespacedConfigMap({ namespace, name: 'one', body: body('one', '2') });
    await core.deleteNamespacedConfigMap({ namespace, name: 'one' });
    await until(() => seen.length >= 4, 'the informer');
    say('informer', [seen, made.list(namespace).map((o) => o.metadata.name)]);
    stopping = true; // its own abort is an error, too
    await made.stop();
}

async function objects() {
    // Any kind by what the server says of it, as kubectl does.
    const any = k8s.KubernetesObjectApi.makeApiClient(config);
    const spec = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'any', namespace }, data: { a: '1' } };
    await any.create(spec);
    const patched = await any.patch({ ...spec, data: { a: '2' } });
    const applied = await any.patch(
        { ...spec, data: { b: '1' } }, undefined, undefined, 'zoo', true, k8s.PatchStrategy.ServerSideApply);
    const listed = await any.list('v1', 'ConfigMap', namespace, undefined, undefined, undefined, 'metadata.name=any');
    await any.delete(spec);
    say('objects', [patched.data, applied.data, listed.items.length, await refused(any.read(spec))]);
}

async function watches() {
    const watch = new k8s.Watch(config);
    const seen = [];
    const start = (await core.listNamespacedSecret({ namespace })).metadata.resourceVersion;
    const ended = new Promise((done) => {
        watch.watch(`/api/v1/namespaces/${namespace}/secrets`, { resourceVersion: start, timeoutSeconds: 2, allowWatchBookmarks: true },
            (type, o) => seen.push([type, o.metadata.name ?? '']), (e) => done(e ? String(e) : 'in order'));
    });
    await core.createNamespacedSecret({ namespace, body: { metadata: { name: 's' }, stringData: { a: 'b' } } });
    const read = await core.readNamespacedSecret({ namespace, name: 's' });
    await core.deleteNamespacedSecret({ namespace, name: 's' });
    say('watch', [await ended, seen.filter((s) => s[0] !== 'BOOKMARK'), read.data]);
}

for (const step of [typed, patches, informer, objects, watches]) await step();
