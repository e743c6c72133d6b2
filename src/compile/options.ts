/** What the compiler is told besides the snapshot. */

/** A Service port named by a flag. */
export interface ServicePortOption {
  readonly namespace: string;
  readonly service: string;
  /** A Service port by number or by name. */
  readonly port: number | string;
}

export interface CompileOptions {
  /** `spec.controller` of the IngressClasses that are ours. */
  readonly controllerName: string;
  /** The class name that counts as ours when no IngressClass object of that name exists. */
  readonly ingressClass: string;
  /** Also serve Ingresses that name no class. */
  readonly watchIngressWithoutClass: boolean;
  /** Empty = all namespaces. */
  readonly watchNamespaces: readonly string[];
  /** Serves what nothing else takes. */
  readonly defaultBackend: ServicePortOption | undefined;
  /** Ingresses whose access annotations are not supported are served all the same, open to everybody. */
  readonly allowUnsupportedAnnotations?: boolean;
  /** Annotations may name Secrets of other namespaces than their Ingress's. */
  readonly allowCrossNamespaceSecrets?: boolean;
  /** undefined = there is no HTTPS. */
  readonly httpsPort?: number | undefined;
  /** Its certificate is for clients that ask for no host, or for one without a certificate. */
  readonly defaultTlsSecret?: { readonly namespace: string; readonly name: string } | undefined;
  /** In a cluster, endpoints at loopback, link-local and unspecified addresses are refused. */
  readonly inCluster: boolean;
  /** false = the metadata of pods is not read, so nobody's version is known. */
  readonly podMetadata: boolean;
}
